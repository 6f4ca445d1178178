// A worker under test: serves as the command's do; dies of one target, and hangs of another.

import { takeTask, work } from "../../src/workers/worker.ts";

const task = takeTask();
if (task === undefined) throw new Error("it is for a supervisor to start this");
work(task, {
  onRequest({ target }) {
    if (target === "/die") process.exit(7);
    if (target === "/hang") for (;;);
  },
  onWarning: () => {},
});
