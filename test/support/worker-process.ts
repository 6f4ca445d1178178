// A worker for tests: like the command's, but it exits on a request for /die, and hangs on one for /hang.

import { dlopen } from "bun:ffi";
import { takeWorkerTask } from "../../src/workers/worker-task.ts";
import { runWorker } from "../../src/workers/worker-main.ts";

const task = takeWorkerTask();
if (task === undefined) throw new Error("this program is started by a Supervisor");

// A worker that hangs does not notice that a test run was killed: the kernel kills it with its parent, prctl(2).
const PR_SET_PDEATHSIG = 1;
dlopen("libc.so.6", { prctl: { args: ["i32", "u64"], returns: "i32" } }).symbols.prctl(PR_SET_PDEATHSIG, 9);

runWorker(task, {
  onRequest({ target }) {
    if (target === "/die") process.exit(7);
    if (target === "/hang") for (;;);
  },
  onWarning: () => {},
});
