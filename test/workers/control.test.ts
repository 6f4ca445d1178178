// What a worker and its supervisor say to each other: nothing of it is lost, however it ends.

import { expect, setDefaultTimeout, test } from "bun:test";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "../../src/workers/control-channel.ts";
import { zeroTotals } from "../../src/workers/totals.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const last: WorkerMessage = { kind: "counts", counts: { ...zeroTotals(), requests: 7 }, isAnswer: false };

test("last words are heard though their speaker ended without hearing what was said to it", () =>
  leavesNoFd(() => {
    const [supervisor, socket] = ControlChannel.pair();
    const worker = new ControlChannel<WorkerMessage, WorkerCommand>(socket);
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
    const [supervisor, socket] = ControlChannel.pair();
    const worker = new ControlChannel<WorkerMessage, WorkerCommand>(socket);
    expect(supervisor.hear()).toEqual([]);
    expect(supervisor.isOver).toBe(false);
    worker.close();
    expect(supervisor.hear()).toEqual([]);
    expect(supervisor.isOver).toBe(true);
    supervisor.close();
  }));
