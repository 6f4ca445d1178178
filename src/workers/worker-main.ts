// The worker's side: a server on sockets that its supervisor holds too, which tells what it does, and ends with its supervisor.

import { EpollServer } from "../server/server.ts";
import { startUntilStopped } from "../server/run-until-stopped.ts";
import type { EpollServerOptions } from "../server/options.ts";
import { Socket } from "../io/socket.ts";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "./control-channel.ts";
import { totalsOf } from "./totals.ts";
import type { WorkerTask } from "./worker-task.ts";

const LAST_WORDS_MS = 1_000;

/**
 * Serve until told to finish, until the supervisor is gone, or until a signal.
 *
 * @param isApp there is an application, which may wait for timers or for others: serve on Bun's event loop, and do not block it
 * @throws what EpollServer throws
 */
export async function runWorker(
  { control, fds, exclusive, beatMs }: WorkerTask,
  options: EpollServerOptions,
  isApp: boolean = false,
): Promise<void> {
  const supervisor = new ControlChannel<WorkerMessage, WorkerCommand>(Socket.fromfd(control));
  const tell = (isAnswer: boolean, patienceMs?: number): void => {
    supervisor.say({ kind: "counts", counts: totalsOf(server.stats), isAnswer }, patienceMs);
  };
  const server = new EpollServer({
    ...options,
    fd: fds,
    exclusive,
    heartbeat: { everyMs: beatMs, beat: () => tell(false) },
  });
  const end = server.onReadable(supervisor, () => {
    for (const order of supervisor.hear()) {
      if (order.kind === "count") tell(true);
      else void server.stop(order);
    }
    if (!supervisor.isOver) return;
    end(); // a socket at its end is readable for ever
    void server.stop();
  });
  try {
    const serves = (): void => {
      // The supervisor's to act on. A terminal that hangs up tells all its processes.
      for (const signal of ["SIGHUP", "SIGUSR1"] as const) process.on(signal, () => {});
      supervisor.say({ kind: "serving" });
    };
    if (isApp) await startUntilStopped(server, serves);
    else server.run(serves);
    tell(false, LAST_WORDS_MS);
  } finally {
    supervisor.close();
  }
}
