// Signals of the command beyond SIGINT and SIGTERM: without a handler, each of them would end it and drop its requests.

import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { type EpollServer, Signals } from "../../index.ts";
import { formatStats } from "./format.ts";
import { logWarning } from "./logger.ts";
import { printLine } from "./stdout.ts";

/** A terminal sends SIGHUP when it closes, and SIGQUIT for Ctrl-\. */
const EXTRA_STOP_SIGNALS = ["SIGHUP", "SIGQUIT"] as const;
const INFO_SIGNALS = ["SIGUSR1", "SIGUSR2"] as const;

export const UNUSED_SIGNAL = "SIGUSR2 has no effect; it is ignored";

/** Returns the extra signals that stop the server. */
export function extraStopSignals(): (typeof EXTRA_STOP_SIGNALS)[number][] {
  return EXTRA_STOP_SIGNALS.filter(isFree);
}

/** Prints the totals for SIGUSR1, and a warning for SIGUSR2, until the returned function is called. */
export function watchInfoSignals(server: EpollServer): () => void {
  const signals = new Signals(INFO_SIGNALS.filter(isFree));
  const unwatch = server.onReadable(signals, () => {
    for (const { signal } of signals.read()) {
      if (signal === "SIGUSR2") logWarning(UNUSED_SIGNAL);
      else printLine(`${formatStats(server.stats)}; ${server.stats.open} open`);
    }
  });
  return () => {
    unwatch();
    signals.close();
  };
}

/** Returns false if the app handles the signal, or if the process was started with the signal ignored, as by nohup. */
function isFree(signal: NodeJS.Signals): boolean {
  return process.listenerCount(signal) === 0 && !isIgnored(signal);
}

/** Whether the process ignores a signal. */
export function isIgnored(signal: NodeJS.Signals): boolean {
  const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readStatus()) ?? [];
  return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}

function readStatus(): string {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return ""; // /proc is not mounted
  }
}
