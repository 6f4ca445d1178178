// The main function of a worker: serves on inherited listening sockets, and reports its totals to the supervisor.

import { EpollServer } from "../server/server.ts";
import { startUntilStopped } from "../server/run-until-stopped.ts";
import type { EpollServerOptions } from "../server/options.ts";
import { Socket } from "../io/socket.ts";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "./control-channel.ts";
import { totalsOf } from "./totals.ts";
import type { WorkerTask } from "./worker-task.ts";

const FINAL_REPORT_TIMEOUT_MS = 1_000;

/**
 * Serves until the supervisor sends `stop` or exits, or until SIGINT or SIGTERM.
 *
 * @param onBunLoop serve on Bun's event loop, because the application may wait for timers or I/O; otherwise the thread blocks
 *   in epoll_wait
 * @throws what EpollServer throws
 */
export async function runWorker(
  { controlFd, listenFds, exclusive, reportIntervalMs }: WorkerTask,
  options: EpollServerOptions,
  onBunLoop: boolean = false,
): Promise<void> {
  const supervisor = new ControlChannel<WorkerMessage, WorkerCommand>(Socket.fromfd(controlFd));
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
  try {
    const onServing = (): void => {
      // The supervisor acts on these. The kernel sends SIGHUP to all processes of a terminal that hangs up.
      for (const signal of ["SIGHUP", "SIGUSR1"] as const) process.on(signal, () => {});
      supervisor.send({ kind: "serving" });
    };
    if (onBunLoop) await startUntilStopped(server, onServing);
    else server.run(onServing);
    report(false, FINAL_REPORT_TIMEOUT_MS);
  } finally {
    supervisor.close();
  }
}
