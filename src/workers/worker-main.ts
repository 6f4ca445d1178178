// The main function of a worker: loads the app, serves on inherited listening sockets, and reports to the supervisor.

import { EPOLLIN } from "../kernel/constants.ts";
import { syscalls } from "../kernel/ffi.ts";
import { watch } from "../event-loop/watch.ts";
import { EpollServer } from "../server/server.ts";
import { startUntilStopped } from "../server/run-until-stopped.ts";
import type { EpollServerOptions } from "../server/options.ts";
import type { ExtraSignals } from "../server/stop-signals.ts";
import { Socket } from "../io/socket.ts";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "./control-channel.ts";
import { totalsOf, zeroTotals } from "./totals.ts";
import type { WorkerTask } from "./worker-task.ts";

type SupervisorChannel = ControlChannel<WorkerMessage, WorkerCommand>;

const FINAL_REPORT_TIMEOUT_MS = 1_000;
/**
 * How long a worker may live on after its supervisor. It needs the 10 s that `EpollServer.stop` grants pending requests; a worker
 * that hangs is ended by the kernel.
 */
const ORPHAN_SECONDS = 12;
/** Ctrl-\ in a terminal sends it to the workers as well. */
const EXTRA_SIGNALS: ExtraSignals = { stop: ["SIGQUIT"] };
/** Signals for the supervisor, which the kernel or a shell may send to all processes of a terminal. */
const SUPERVISOR_SIGNALS = ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/**
 * Serves until the supervisor sends `stop` or exits, or until SIGINT, SIGTERM or SIGQUIT.
 *
 * If the supervisor exits while the options are being loaded, the worker does not serve. Then the kernel kills it, or this
 * function returns; either way, it holds the listening sockets no longer.
 *
 * @param load returns the server's options. An error that it throws is reported to the supervisor
 * @param onBunLoop serve on Bun's event loop, because the application may wait for timers or I/O, or because of TLS; otherwise the
 *   thread blocks in epoll_wait
 * @throws what `load` and EpollServer throw
 */
export async function runWorker(
  task: WorkerTask,
  load: () => EpollServerOptions | Promise<EpollServerOptions>,
  onBunLoop: boolean = false,
): Promise<void> {
  // Code that blocks while it is loaded would not notice that the control channel is closed.
  syscalls().end_with_parent(0);
  const supervisor: SupervisorChannel = new ControlChannel(Socket.fromfd(task.controlFd));
  try {
    for (const signal of SUPERVISOR_SIGNALS) process.on(signal, () => {});
    const options = await loadOptions(supervisor, load, onBunLoop);
    if (options === undefined) return;
    syscalls().end_with_parent(ORPHAN_SECONDS);
    await serve(supervisor, task, options, onBunLoop);
  } catch (error) {
    supervisor.send({ kind: "failed", message: firstLine(error) }, FINAL_REPORT_TIMEOUT_MS);
    throw error;
  } finally {
    supervisor.close();
  }
}

/** Loads the options. Returns undefined if the supervisor exits or sends `stop` meanwhile. */
async function loadOptions(
  supervisor: SupervisorChannel,
  load: () => EpollServerOptions | Promise<EpollServerOptions>,
  onBunLoop: boolean,
): Promise<EpollServerOptions | undefined> {
  const stopped = Promise.withResolvers<undefined>();
  const receive = (): void => {
    const commands = supervisor.receive();
    if (commands.some(({ kind }) => kind === "report")) {
      supervisor.send({ kind: "totals", totals: zeroTotals(), isReply: true });
    }
    if (supervisor.isClosed || commands.some(({ kind }) => kind === "stop")) stopped.resolve(undefined);
  };
  const watcher = onBunLoop ? watch(supervisor, EPOLLIN, receive).unref() : undefined;
  try {
    receive(); // the supervisor may have exited before this process asked the kernel to end with it
    return supervisor.isClosed ? undefined : await Promise.race([load(), stopped.promise]);
  } finally {
    watcher?.close();
  }
}

async function serve(
  supervisor: SupervisorChannel,
  { listenFds, exclusive, reportIntervalMs }: WorkerTask,
  options: EpollServerOptions,
  onBunLoop: boolean,
): Promise<void> {
  const report = (isReply: boolean, timeoutMs?: number): void => {
    supervisor.send({ kind: "totals", totals: totalsOf(server.stats), isReply }, timeoutMs);
  };
  const server = new EpollServer({
    ...options,
    fd: listenFds,
    exclusive,
    heartbeat: { everyMs: reportIntervalMs, beat: () => report(false) },
  });
  const unwatch = server.onReadable(supervisor, () => {
    for (const command of supervisor.receive()) {
      if (command.kind === "report") report(true);
      else void server.stop(command);
    }
    if (!supervisor.isClosed) return;
    unwatch(); // a socket at end of stream stays readable
    void server.stop();
  });
  const onServing = (): void => {
    const hasTls = options.tls !== undefined && options.tls !== false;
    supervisor.send({
      kind: "serving",
      ...(options.socket === undefined ? {} : { socket: true }),
      ...(hasTls ? { tls: true } : {}),
    });
  };
  if (onBunLoop) await startUntilStopped(server, onServing, EXTRA_SIGNALS);
  else server.run(onServing, EXTRA_SIGNALS);
  report(false, FINAL_REPORT_TIMEOUT_MS);
}

const MAX_MESSAGE_LENGTH = 500;

function firstLine(error: unknown): string {
  if (error instanceof Error && error.cause instanceof Error) error = error.cause; // without the source lines of a stack
  const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  return line.slice(0, MAX_MESSAGE_LENGTH);
}
