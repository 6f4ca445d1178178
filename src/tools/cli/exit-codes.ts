// The exit codes of the command.

import { constants } from "node:os";
import type { StopSignal } from "../../index.ts";
import type { ExtraStopSignal } from "../../server/stop-signals.ts";

/** The command failed: it cannot listen on an address, read or write a file, or load an app. */
export const EXIT_FAILURE = 1;
/** The command line is wrong. */
export const EXIT_USAGE = 2;
/** 128 + the signal's number, which a shell expects. SIGTERM: 0, because it is the regular way to stop a server. */
export const SIGNAL_EXIT_CODES: Readonly<Record<StopSignal | ExtraStopSignal, number>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGQUIT: 131,
  SIGTERM: 0,
};

/** Returns the exit code of a program that a signal has ended: 128 + the number of the signal, as in a shell. */
export function exitCodeOfSignal(signal: string): number {
  return 128 + ((constants.signals as Readonly<Record<string, number>>)[signal] ?? 0);
}

export function isSignalExitCode(code: number): boolean {
  return Object.values(SIGNAL_EXIT_CODES).includes(code);
}
