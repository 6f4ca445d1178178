// The task that a supervisor passes to a worker process, in an environment variable.

export interface WorkerTask {
  /** The fd of the control channel. */
  controlFd: number;
  /** The fds of the listening sockets. */
  listenFds: number[];
  /** Whether other workers wait on the same listening sockets. */
  exclusive: boolean;
  /** How often the worker reports its totals. */
  reportIntervalMs: number;
}

/** The time in which a worker must have loaded its app and be serving; then it is killed. */
export const START_TIMEOUT_MS = 30_000;

/** Set by the supervisor in the environment of each worker process. */
export const TASK_VARIABLE = "EPOLL_HELLO_WORKER";

/**
 * Returns the task of this process, or undefined if it is not a worker.
 *
 * Removes the variable, so that child processes of a worker do not become workers. A second call returns undefined.
 *
 * @throws {Error} if the variable was not set by a supervisor
 */
export function takeWorkerTask(): WorkerTask | undefined {
  const text = process.env[TASK_VARIABLE];
  delete process.env[TASK_VARIABLE];
  if (text === undefined) return undefined;
  let task: unknown;
  try {
    task = JSON.parse(text);
  } catch {
    // not a task
  }
  if (isTask(task)) return task;
  throw new Error(
    `the environment variable ${TASK_VARIABLE} is reserved for the worker processes of --workers; ` +
      `it is ${JSON.stringify(text.slice(0, 64))}: unset it`,
  );
}

function isTask(value: unknown): value is WorkerTask {
  if (typeof value !== "object" || value === null) return false;
  const { controlFd, listenFds, exclusive, reportIntervalMs } = value as Partial<Record<keyof WorkerTask, unknown>>;
  const isFd = (fd: unknown): boolean => typeof fd === "number" && Number.isInteger(fd) && fd >= 0;
  return (
    isFd(controlFd) &&
    Array.isArray(listenFds) &&
    listenFds.every(isFd) &&
    typeof exclusive === "boolean" &&
    typeof reportIntervalMs === "number"
  );
}
