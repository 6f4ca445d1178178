// The exit codes of the command.

import type { StopSignal } from "../../index.ts";

/** The command failed: it cannot listen on an address, read or write a file, or load an app. */
export const EXIT_FAILURE = 1;
/** The command line is wrong. */
export const EXIT_USAGE = 2;
/** 128 + SIGHUP: the terminal has closed. */
export const EXIT_SIGHUP = 129;
/** SIGINT: 128 + 2, which a shell expects after Ctrl-C. SIGTERM: 0, because it is the regular way to stop a server. */
export const SIGNAL_EXIT_CODES: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 0 };
