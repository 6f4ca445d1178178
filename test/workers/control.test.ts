// What a worker and its supervisor say to each other: nothing of it is lost, however it ends.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Control, type Order, type Report } from "../../src/workers/control.ts";
import { noCounts } from "../../src/workers/counts.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const last: Report = { kind: "counts", counts: { ...noCounts(), requests: 7 }, isAnswer: false };

test("last words are heard though their speaker ended without hearing what was said to it", () =>
  leavesNoFd(() => {
    const [supervisor, socket] = Control.pair();
    const worker = new Control<Report, Order>(socket);
    worker.say({ kind: "serving" });
    supervisor.say({ kind: "finish", graceMs: 1, idleMs: 1 }); // never heard: closing makes it ECONNRESET here
    worker.say(last);
    worker.close();
    expect(supervisor.hear()).toEqual([{ kind: "serving" }, last]);
    expect(supervisor.isOver).toBe(true);
    supervisor.say({ kind: "count" });
    supervisor.close();
  }));

test("what is not there yet is not waited for, and an end is an end", () =>
  leavesNoFd(() => {
    const [supervisor, socket] = Control.pair();
    const worker = new Control<Report, Order>(socket);
    expect(supervisor.hear()).toEqual([]);
    expect(supervisor.isOver).toBe(false);
    worker.close();
    expect(supervisor.hear()).toEqual([]);
    expect(supervisor.isOver).toBe(true);
    supervisor.close();
  }));
