// Workers that end: whatever they were doing, every fd and thread that this package opened there is closed.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer } from "../../src/index.ts";
import type { Opened, Work } from "../support/ending-worker.ts";
import { eventuallyLeavesNoFd } from "../support/fds.ts";
import { expectBridgeThreads } from "../support/threads.ts";

setDefaultTimeout(60_000);

const WORKERS = 20;
const AT_ONCE = 5;

interface RunningWorker {
  worker: Worker;
  /** Resolves when the Worker has opened everything. */
  opened: Promise<Opened>;
  closed: Promise<void>;
}

function startWorker(work: Work): RunningWorker {
  const worker = new Worker(new URL("../support/ending-worker.ts", import.meta.url).href);
  const opened = Promise.withResolvers<Opened>();
  const closed = Promise.withResolvers<void>();
  worker.addEventListener("message", ({ data }: MessageEvent<Opened>) => opened.resolve(data));
  worker.addEventListener("error", () => {});
  worker.addEventListener("close", () => closed.resolve());
  worker.postMessage(work);
  return { worker, opened: opened.promise, closed: closed.promise };
}

for (const work of ["run", "start", "tick", "poll", "watch", "open"] as const) {
  test(`terminated during ${work}`, async () => {
    await terminateOne(work); // Bun opens some fds with the first Worker
    await eventuallyLeavesNoFd(async () => {
      for (let i = 0; i < WORKERS; i += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, () => terminateOne(work)));
      }
    });
    await expectBridgeThreads(0);
  });
}

async function terminateOne(work: Work): Promise<void> {
  const { worker, opened, closed } = startWorker(work);
  const { port } = await opened;
  worker.terminate();
  await closed;
  if (port === undefined) return;
  // The thread exits a little later.
  for (;;) {
    try {
      new EpollServer({ hostname: "127.0.0.1", port }).stop();
      return;
    } catch (error) {
      expect((error as { code?: string }).code).toBe("EADDRINUSE");
      await Bun.sleep(1);
    }
  }
}

for (const work of ["exit", "throw"] as const) {
  test(`ended by itself: ${work}`, async () => {
    const run = (): Promise<void> => startWorker(work).closed;
    await run();
    await eventuallyLeavesNoFd(async () => {
      for (let i = 0; i < WORKERS; i += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, run));
    });
  });
}
