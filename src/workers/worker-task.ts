// How a process learns that it is a worker, and what its supervisor has it do.

/** What a supervisor has a worker do. */
export interface WorkerTask {
  /** The descriptor of its control socket. */
  control: number;
  /** Those of the listening sockets. */
  fds: number[];
  /** Other workers wait on the same ones. */
  exclusive: boolean;
  /** How often it tells its counts unasked. */
  beatMs: number;
}

/** The environment variable by which a process learns that it is a worker; for nobody else to set. */
export const TASK_VARIABLE = "EPOLL_HELLO_WORKER";

/** The task, if this process is a worker; once. */
export function takeWorkerTask(): WorkerTask | undefined {
  const text = process.env[TASK_VARIABLE];
  delete process.env[TASK_VARIABLE]; // a process that it starts is none
  return text === undefined ? undefined : (JSON.parse(text) as WorkerTask);
}
