// EPOLLEXCLUSIVE on Bun's event loop: an event wakes one of the threads that wait for it.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EventFd, type InternetAddress, Socket } from "../../src/index.ts";
import { untilWaiting } from "../support/bridge-state.ts";
import { until } from "../support/event-loop.ts";
import type { ExclusiveWorkerOptions } from "../support/exclusive-worker.ts";
import { eventuallyLeavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

const WORKERS = 4;
const EVENTS = 25;

/** Sends events one after the other, each when all Workers wait. Returns the counts. */
async function countEvents(
  call: ExclusiveWorkerOptions["call"],
  target: EventFd | Socket,
  send: () => void,
): Promise<number[]> {
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const workers = Array.from(
    { length: WORKERS },
    () => new Worker(new URL("../support/exclusive-worker.ts", import.meta.url).href),
  );
  const ready = workers.map((worker) => new Promise((resolve) => worker.addEventListener("message", resolve)));
  for (const worker of workers) {
    const options: ExclusiveWorkerOptions = { fd: target.dup(), call, counts: counts.buffer };
    worker.postMessage(options);
  }
  await Promise.all(ready);
  for (let i = 1; i <= EVENTS; i++) {
    await untilWaiting(WORKERS);
    send();
    await until(() => Atomics.load(counts, 0) >= i);
  }
  await untilWaiting(WORKERS); // a thread that was woken, too, would be parked before
  const closed = workers.map((worker) => new Promise((resolve) => worker.addEventListener("close", resolve)));
  for (const worker of workers) worker.terminate();
  await Promise.all(closed);
  return [...counts];
}

test("watch: a write to an eventfd wakes one of four threads", () =>
  eventuallyLeavesNoFd(async () => {
    using event = new EventFd();
    expect(await countEvents("watch", event, () => void event.write(1))).toEqual([EVENTS, 0]);
  }));

test("start: a connection wakes one of four servers", () =>
  eventuallyLeavesNoFd(async () => {
    using listener = new Socket();
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    const clients: Socket[] = [];
    const connect = (): void => {
      const client = new Socket();
      client.connect(listener.getsockname() as InternetAddress);
      clients.push(client);
    };
    expect(await countEvents("start", listener, connect)).toEqual([EVENTS, 0]);
    for (const client of clients) client.close();
  }));
