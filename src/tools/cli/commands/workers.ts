// epoll-hello --workers N: runs the supervisor, handles its signals, and is the entry point of each worker.

import { closeSync, openSync } from "node:fs";
import { type EpollServerOptions, watchdogIntervalMs } from "../../../index.ts";
import { displayedUrl } from "../../../server/listeners.ts";
import { addressOptions, mergeOptions } from "../../../server/merge-options.ts";
import { ListenSockets } from "../../../workers/listen-sockets.ts";
import { Supervisor } from "../../../workers/supervisor.ts";
import { runWorker } from "../../../workers/worker-main.ts";
import type { WorkerTask } from "../../../workers/worker-task.ts";
import { readAppAddress } from "../app-address.ts";
import { onBunxExit } from "../bunx.ts";
import type { CommandLine, ServeCommand, WorkerOptions } from "../command-line.ts";
import { EXIT_FAILURE, SIGNAL_EXIT_CODES } from "../exit-codes.ts";
import { DEFAULT_ADDRESS, MAX_INT32 } from "../flags.ts";
import { formatAddresses, formatCount, formatReport, formatStats } from "../format.ts";
import { listen } from "../listen.ts";
import { describeError, describeOnOneLine, logError, logWarning } from "../logger.ts";
import { selfExec } from "../self-exec.ts";
import { isIgnored, UNUSED_SIGNAL } from "../signals.ts";
import { printLine, shareOutput } from "../stdout.ts";
import { inheritedFds, reportState } from "../systemd.ts";
import { appOptions, exitIfApp, loggingOptions, needsBunLoop } from "./serve.ts";

const REPORT_INTERVAL_MS = 1_000;

/** Runs the workers until stopped. Returns the exit code. */
export async function supervise(command: ServeCommand, { count, balance, timeoutMs }: WorkerOptions): Promise<number> {
  const { isQuiet, usesSystemd } = command;
  const watchdogMs = usesSystemd ? watchdogIntervalMs() : undefined;
  const flags = usesSystemd ? { ...command.options, fd: inheritedFds() } : command.options;
  const needsAppAddress = command.app !== undefined && addressOptions(flags).length === 0;
  const options = mergeOptions(needsAppAddress ? readAppAddress() : {}, flags, DEFAULT_ADDRESS);
  const isTcp = options.unix === undefined && options.fd === undefined;
  const sockets = listen(options, () =>
    ListenSockets.open(options, count, balance ?? (isTcp ? "reuseport" : "shared")),
  );
  const workers = `with ${formatCount(count, "worker")}`;
  const supervisor = new Supervisor({
    command: [...selfExec(), ...process.argv.slice(2)],
    workers: count,
    sockets,
    reportIntervalMs: Math.min(REPORT_INTERVAL_MS, (watchdogMs ?? Infinity) / 4),
    onServing: (app) => {
      const where = `listening on ${displayedUrl(sockets.url, app)}`;
      if (usesSystemd) reportState({ ready: true, status: `${where} ${workers}`, mainPid: process.pid });
      if (isQuiet) return;
      // Signals must be sent to this pid. Under bunx or npx, the shell shows a different one.
      printLine(`${where} (${formatAddresses(sockets.addresses)}) ${workers} (pid ${process.pid}); stop with Ctrl-C`);
    },
    onWarning: logWarning,
    describeError: describeOnOneLine,
    ...(timeoutMs === undefined ? {} : { workerTimeoutMs: timeoutMs }),
  });

  const signals = handleSignals(supervisor, usesSystemd);
  if (watchdogMs !== undefined) {
    const beat = (): void => {
      if (supervisor.isResponsive) reportState({ watchdog: true, status: formatStats(supervisor.totals) });
    };
    setInterval(beat, Math.min(watchdogMs / 2, MAX_INT32)).unref();
  }

  try {
    const { totals, hasFailed, failures } = await supervisor.run();
    if (hasFailed) {
      logError(formatFailures(failures));
      return EXIT_FAILURE;
    }
    if (!isQuiet) printLine(formatStats(totals));
    return signals.exitCode ?? 0;
  } finally {
    signals.remove();
  }
}

/** Returns the error for workers that could not start: one line if all failed in the same way, otherwise one for each. */
function formatFailures(failures: readonly string[]): string {
  const reasons = new Set(failures.map((text) => text.replace(/^worker \d+ (\(pid \d+\) )?/, "")));
  const [reason] = reasons;
  return reasons.size === 1 ? `no worker could start: it ${reason}` : ["no worker could start", ...failures].join("\n");
}

interface SignalHandlers {
  /** The exit code for the first stop signal; undefined until it arrives. */
  exitCode: number | undefined;
  remove(): void;
}

function handleSignals(supervisor: Supervisor, usesSystemd: boolean): SignalHandlers {
  const stop = (code: number): void => {
    if (handlers.exitCode !== undefined) return supervisor.stop(0); // a second signal does not wait for pending requests
    handlers.exitCode = code;
    if (usesSystemd) reportState({ stopping: true });
    supervisor.stop();
  };
  const restart = async (): Promise<void> => {
    if (usesSystemd) reportState({ reloading: true });
    await supervisor.restart();
    if (usesSystemd && handlers.exitCode === undefined) reportState({ ready: true });
  };
  const endsWithTerminal = hasTerminal() && !isIgnored("SIGHUP"); // nohup ignores it
  const listeners: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGINT: () => stop(SIGNAL_EXIT_CODES.SIGINT),
    SIGTERM: () => stop(SIGNAL_EXIT_CODES.SIGTERM),
    SIGQUIT: () => stop(SIGNAL_EXIT_CODES.SIGQUIT),
    SIGHUP: () => (endsWithTerminal && !hasTerminal() ? stop(SIGNAL_EXIT_CODES.SIGHUP) : void restart()),
    SIGUSR1: () => void supervisor.report().then((report) => printLine(formatReport(report))),
    SIGUSR2: () => logWarning(UNUSED_SIGNAL),
  };
  for (const [signal, listener] of Object.entries(listeners)) process.on(signal, listener);
  const unwatchBunx = onBunxExit(() => stop(SIGNAL_EXIT_CODES.SIGTERM));
  const handlers: SignalHandlers = {
    exitCode: undefined,
    remove: () => {
      for (const [signal, listener] of Object.entries(listeners)) process.off(signal, listener);
      unwatchBunx();
    },
  };
  return handlers;
}

/** Serves on the supervisor's sockets until the supervisor stops the worker. Returns the exit code. */
export async function runAsWorker(task: WorkerTask, command: CommandLine): Promise<number> {
  if (command.kind !== "serve") throw new Error("only a supervisor can start a worker");
  const { app, isQuiet, showsSecrets, options } = command;
  const { hostname: _, port: _port, unix: _unix, fd: _fd, backlog: _backlog, ...others } = options; // those of the sockets
  shareOutput();
  let exitCode = 0;
  try {
    const load = async (): Promise<EpollServerOptions> => {
      const merged = mergeOptions(await appOptions(app), { ...others, fd: task.listenFds });
      return { ...loggingOptions(isQuiet, showsSecrets), ...merged, ...labeledMetrics(merged) };
    };
    await runWorker(task, load, needsBunLoop(app, options));
  } catch (error) {
    logError(`worker (pid ${process.pid}): ${describeError(error)}`);
    exitCode = EXIT_FAILURE;
  }
  return exitIfApp(app, exitCode);
}

/** Labels a worker's metrics with its process: a request for them reaches only one of the workers. */
function labeledMetrics({ metrics }: EpollServerOptions): EpollServerOptions {
  if (metrics === undefined) return {};
  const { path, labels } = typeof metrics === "string" ? { path: metrics, labels: {} } : metrics;
  return { metrics: { path, labels: { ...labels, pid: String(process.pid) } } };
}

/** Whether this process has a controlling terminal. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
