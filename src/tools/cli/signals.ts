// Signals of the command beyond SIGINT and SIGTERM: without a handler, each of them would end it and drop its requests.

import { constants } from "node:os";
import type { ServerStats } from "../../index.ts";
import type { ExtraSignals } from "../../server/stop-signals.ts";
import { formatStats } from "./format.ts";
import { logWarning } from "./logger.ts";
import { readProcFile } from "./proc-file.ts";
import { printLine } from "./stdout.ts";

/** A terminal sends SIGHUP when it closes, and SIGQUIT for Ctrl-\. */
const EXTRA_STOP_SIGNALS = ["SIGHUP", "SIGQUIT"] as const;

export const UNUSED_SIGNAL = "SIGUSR2 has no effect; it is ignored";

/** Returns the extra signals that stop the server. */
export function extraStopSignals(): (typeof EXTRA_STOP_SIGNALS)[number][] {
  return EXTRA_STOP_SIGNALS.filter(isFree);
}

/** Returns the extra signals that a server handles: SIGUSR1 prints its totals, and SIGUSR2 a warning. */
export function extraSignals(stats: () => ServerStats): ExtraSignals {
  const handlers = {
    SIGUSR1: () => printLine(`${formatStats(stats())}; ${stats().open} open`),
    SIGUSR2: () => logWarning(UNUSED_SIGNAL),
  };
  const free = Object.entries(handlers).filter(([signal]) => isFree(signal as keyof typeof handlers));
  return { stop: extraStopSignals(), handlers: Object.fromEntries(free) };
}

/** Returns false if the app handles the signal, or if the process was started with the signal ignored, as by nohup. */
function isFree(signal: NodeJS.Signals): boolean {
  return process.listenerCount(signal) === 0 && !isIgnored(signal);
}

/** Whether the process ignores a signal. */
export function isIgnored(signal: NodeJS.Signals): boolean {
  const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readProcFile("/proc/self/status") ?? "") ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}
