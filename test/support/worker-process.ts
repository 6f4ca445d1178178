// A worker under test: serves as the command's do; dies of one target, and hangs of another.

import { dlopen } from "bun:ffi";
import { takeWorkerTask } from "../../src/workers/worker-task.ts";
import { runWorker } from "../../src/workers/worker-main.ts";

const task = takeWorkerTask();
if (task === undefined) throw new Error("it is for a supervisor to start this");

// One that hangs would outlive a test run that is killed: let the kernel end it with its parent, prctl(2).
const PR_SET_PDEATHSIG = 1;
dlopen("libc.so.6", { prctl: { args: ["i32", "u64"], returns: "i32" } }).symbols.prctl(PR_SET_PDEATHSIG, 9);

runWorker(task, {
  onRequest({ target }) {
    if (target === "/die") process.exit(7);
    if (target === "/hang") for (;;);
  },
  onWarning: () => {},
});
