// A worker for tests: like the command's, but it exits on a request for /die, and hangs on a request for /hang.

import { takeWorkerTask } from "../../src/workers/worker-task.ts";
import { runWorker } from "../../src/workers/worker-main.ts";

const task = takeWorkerTask();
if (task === undefined) throw new Error("this program must be started by a Supervisor");

runWorker(task, () => ({
  onRequest({ target }) {
    if (target === "/die") process.exit(7);
    if (target === "/hang") for (;;);
  },
  onWarning: () => {},
}));
