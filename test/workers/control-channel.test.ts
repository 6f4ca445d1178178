// ControlChannel: no message between supervisor and worker is lost, whichever side closes first.

import { expect, setDefaultTimeout, test } from "bun:test";
import { ControlChannel, type WorkerCommand, type WorkerMessage } from "../../src/workers/control-channel.ts";
import { zeroTotals } from "../../src/workers/totals.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const finalReport: WorkerMessage = { kind: "totals", totals: { ...zeroTotals(), requests: 7 }, isReply: false };

test("receives a worker's final report, even if it exits without reading its commands", () =>
  leavesNoFd(() => {
    const [supervisor, socket] = ControlChannel.pair();
    const worker = new ControlChannel<WorkerMessage, WorkerCommand>(socket);
    worker.send({ kind: "serving" });
    supervisor.send({ kind: "stop", graceMs: 1, idleMs: 1 }); // unread: closing the other end makes it ECONNRESET here
    worker.send(finalReport);
    worker.close();
    expect(supervisor.receive()).toEqual([{ kind: "serving" }, finalReport]);
    expect(supervisor.isClosed).toBe(true);
    supervisor.send({ kind: "report" });
    supervisor.close();
  }));

test("receive() returns immediately if no message has arrived, and detects the end of the channel", () =>
  leavesNoFd(() => {
    const [supervisor, socket] = ControlChannel.pair();
    const worker = new ControlChannel<WorkerMessage, WorkerCommand>(socket);
    expect(supervisor.receive()).toEqual([]);
    expect(supervisor.isClosed).toBe(false);
    worker.close();
    expect(supervisor.receive()).toEqual([]);
    expect(supervisor.isClosed).toBe(true);
    supervisor.close();
  }));
