// epoll-hello --inspect, replay --inspect: serve, or show a trace, with a page beside it.

import { basename } from "node:path";
import { Target, TargetError, type TargetOptions } from "../../debugger/target.ts";
import { type EpollServerOptions, ErrnoError, parseTrace, type StopSignal } from "../../../index.ts";
import { LiveView } from "../../inspector/live-view.ts";
import { InspectorServer, type InspectorOptions } from "../../inspector/inspector-server.ts";
import { readTraceText } from "../../../trace/trace-file.ts";
import { type App, type Program, UsageError } from "../command-line.ts";
import { describeAll, describeStats } from "../format.ts";
import { selfExec } from "../self-exec.ts";
import { flushLines, printLine } from "../stdout.ts";
import { showWarning } from "../logger.ts";
import { EXIT_CODES } from "./serve.ts";

export interface InspectRequest {
  app: App;
  program: Program | undefined;
  hasBytes: boolean;
  /** The page's port. */
  page: number;
}

/** Serve, and let a page look on; returns the exit code. */
export async function inspect(
  options: EpollServerOptions,
  { app, program, hasBytes, page: port }: InspectRequest,
): Promise<number> {
  using inspector = await LiveView.open((tell) =>
    startTarget({
      server: { deferAccept: false, ...options }, // who says nothing is to be seen, too
      app,
      program,
      isStopped: program !== undefined, // it may be over before the page is there
      onHandlerError: showWarning,
      bytes: hasBytes,
      onSample: tell.onSample,
      onState: tell.onState,
    }),
  );
  const { target } = inspector;
  try {
    await using page = await openPage(port, { view: inspector });
    const signal = signalled();
    const what =
      program === undefined
        ? `listening on ${where(target)}`
        : `${target.location.url} stands still: go on in the page`;
    printLine(`${what}; stop with Ctrl-C`);
    tellOf(page);
    // A program may be short; what it did can be looked at as long as the page is there.
    const code = await (program === undefined ? Promise.race([signal, target.ended.then(() => 0)]) : signal);
    await target.end();
    if (target.error !== undefined) throw new Error(target.error);
    if (target.stats !== undefined) printLine(describeStats(target.stats));
    flushLines();
    return code;
  } finally {
    await target.end();
  }
}

/** Show a trace that was saved; returns the exit code. */
export async function show(file: string, port: number): Promise<number> {
  const trace = readTraceText(file);
  parseTrace(trace, file); // what is wrong with it is said here, and not in the page
  await using page = await openPage(port, { name: basename(file), trace });
  const signal = signalled();
  printLine(`${file} is at ${page.url}; stop with Ctrl-C`);
  printLine(`with lessons: ${page.controlUrl}`);
  flushLines();
  return await signal;
}

export function where({ location: { url, addresses } }: Target): string {
  return `${url} (${describeAll(addresses)})`;
}

/** @throws {UsageError} if the server does not take its options */
export async function startTarget(options: TargetOptions): Promise<Target> {
  try {
    return await Target.start(options);
  } catch (error) {
    if (error instanceof TargetError && error.code === undefined) throw new UsageError(error.message);
    throw error;
  }
}

export async function openPage(port: number, source: InspectorOptions["source"]): Promise<InspectorServer> {
  try {
    return await InspectorServer.open({ port, source, command: selfExec() });
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    throw new Error(`the page cannot be served: ${error.message}\n--inspect alone takes any free port.`, {
      cause: error,
    });
  }
}

/** The address with the token is for who started this, and nobody else. */
export function tellOf(page: InspectorServer): void {
  printLine(`see it at ${page.url}`);
  printLine(`and control it at ${page.controlUrl}`);
  flushLines();
}

function signalled(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  for (const signal of ["SIGINT", "SIGTERM"] satisfies StopSignal[]) {
    process.once(signal, () => resolve(EXIT_CODES[signal]));
  }
  return promise;
}
