// Workers that end: whatever they were doing, every fd and thread that this package opened there is closed.

import { expect, setDefaultTimeout, test } from "bun:test";
import { fstatSync } from "node:fs";
import { EpollServer, F_DUPFD_CLOEXEC, F_GETFD } from "../../src/index.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import type { Opened, Work } from "../support/ending-worker.ts";
import { eventually } from "../support/eventually.ts";
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

test("an fd that the Worker has closed is left alone, although another owner has its number now", async () => {
  const { worker, opened, closed } = startWorker("close");
  const { fds = [] } = await opened;
  const kept = fds.pop() as number;
  const sys = syscalls();
  // The kernel takes the first number from `fd` that is free.
  const reused = fds.map((fd) => sys.fcntl(0, F_DUPFD_CLOEXEC, fd));
  expect(reused).toEqual(fds);
  worker.terminate();
  await closed;
  // The thread closes its fds in ascending order when it exits, a little later.
  await eventually(
    () => sys.fcntl(kept, F_GETFD, 0),
    (result) => result < 0,
  );
  for (const fd of reused) expect(() => fstatSync(fd)).not.toThrow();
  for (const fd of reused) sys.close(fd);
});
