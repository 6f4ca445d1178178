// epoll-hello --workers 4: a supervisor that serves nothing itself, signals that it heeds, and what it prints.

import { closeSync, openSync } from "node:fs";
import { type EpollServerOptions, type StopSignal, watchdogIntervalMs } from "../../../index.ts";
import { ListenSockets } from "../../../workers/listen-sockets.ts";
import { Supervisor } from "../../../workers/supervisor.ts";
import type { WorkerTask } from "../../../workers/worker-task.ts";
import { runWorker } from "../../../workers/worker-main.ts";
import { appOf, parseArguments } from "../parse-arguments.ts";
import type { ServeRequest, WorkerOptions } from "../command-line.ts";
import { describeAll, describeReport, describeStats } from "../format.ts";
import { flushLines, printLine, shareOutput } from "../stdout.ts";
import { selfExec } from "../self-exec.ts";
import { explain, showError, showWarning } from "../logger.ts";
import { endOf, EXIT_CODES, listen, loaded, saying, tell } from "./serve.ts";

const BEAT_MS = 1_000;
const SIGHUP_CODE = 129; // 128 + SIGHUP: the terminal has hung up

/** Keep workers serving until stopped; returns the exit code. */
export async function supervise(
  options: EpollServerOptions,
  { workers, balance }: WorkerOptions,
  isQuiet: boolean,
  isService: boolean,
): Promise<number> {
  const hadTerminal = hasTerminal();
  const watchdogMs = isService ? watchdogIntervalMs() : undefined;
  const place = listen(options, () => ListenSockets.open(options, workers, balance));
  const supervisor = new Supervisor({
    command: [...selfExec(), ...process.argv.slice(2)],
    workers,
    place,
    beatMs: Math.min(BEAT_MS, (watchdogMs ?? Infinity) / 4),
    onServing: () => {
      const by = workers === 1 ? "1 worker" : `${workers} workers`;
      if (isService) tell({ ready: true, status: `listening on ${place.url} with ${by}`, mainPid: process.pid });
      if (isQuiet) return;
      printLine(`listening on ${place.url} (${describeAll(place.addresses)}) with ${by}; stop with Ctrl-C`);
    },
    onWarning: showWarning,
  });

  let exitCode: number | undefined;
  const stop = (code: number): void => {
    if (exitCode !== undefined) return supervisor.stop(0); // a second signal cuts it short
    exitCode = code;
    if (isService) tell({ stopping: true });
    supervisor.stop();
  };
  for (const signal of ["SIGINT", "SIGTERM"] satisfies StopSignal[]) {
    process.on(signal, () => stop(EXIT_CODES[signal]));
  }
  process.on("SIGHUP", () => {
    if (hadTerminal && !hasTerminal()) return stop(SIGHUP_CODE);
    if (isService) tell({ reloading: true });
    void supervisor.renew().then(() => isService && exitCode === undefined && tell({ ready: true }));
  });
  process.on("SIGUSR1", () => {
    void supervisor.report().then((report) => printLine(describeReport(report)));
  });
  if (watchdogMs !== undefined) {
    const beat = (): void => {
      if (supervisor.isAlive) tell({ watchdog: true, status: describeStats(supervisor.total) });
    };
    setInterval(beat, watchdogMs / 2).unref();
  }

  try {
    const { total, isFailure } = await supervisor.run();
    if (isFailure) {
      showError("No worker could serve: each has ended before it did.");
      return 1;
    }
    if (!isQuiet) printLine(describeStats(total));
    return exitCode ?? 0;
  } finally {
    flushLines();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"]) process.removeAllListeners(signal);
  }
}

/** Serve on what the supervisor listens on, until it says otherwise; returns the exit code. */
export async function serveAsWorker(task: WorkerTask, rawArguments: string[]): Promise<number> {
  const { options, isQuiet, app } = mannersOf(rawArguments);
  shareOutput();
  let exitCode = 0;
  try {
    await runWorker(task, { ...saying(isQuiet), ...(await loaded(app)), ...options }, app !== undefined);
  } catch (error) {
    showError(`worker ${process.pid}: ${explain(error)}`);
    exitCode = 1;
  }
  flushLines();
  return endOf(app, exitCode);
}

/** How to serve; where is the supervisor's business. */
function mannersOf(rawArguments: string[]): Pick<ServeRequest, "options" | "isQuiet" | "app"> {
  const app = appOf(rawArguments);
  const manners = rawArguments.filter((argument) => argument === "--classic" || argument === "--quiet");
  const request = parseArguments(manners);
  if (request.kind !== "serve") return { options: {}, isQuiet: false, app };
  const { keepAlive, eager } = request.options;
  return { options: keepAlive === undefined ? {} : { keepAlive, eager }, isQuiet: request.isQuiet, app };
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
