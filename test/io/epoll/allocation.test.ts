// pollInto allocates nothing: 200,000 calls leave the JavaScript heap as large as 1,000 calls do.

import { expect, setDefaultTimeout, test } from "bun:test";
import { runBun } from "../../support/children.ts";
import { everyFdIsClosed } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const CALLS = 200_000;

/** Returns by how many bytes the heap of a separate process grows while `body` runs `CALLS` times. */
async function growth(body: string): Promise<number> {
  const { output, stderr } = await runBun(`
    import { heapStats } from "bun:jsc";
    import { Epoll, EPOLLIN, EPOLLOUT, EventList } from "./src/index.ts";
    import { syscalls } from "./src/kernel/ffi.ts";
    const epoll = new Epoll();
    const events = new EventList(4);
    const ready = syscalls().eventfd(1, 0);
    epoll.register(ready, EPOLLIN);
    epoll.register(syscalls().eventfd(0, 0), EPOLLIN);
    let sum = 0;
    let kept;
    function repeat(times) {
      for (let i = 0; i < times; i++) { ${body} }
    }
    repeat(50_000); // until the JIT has compiled everything
    function grown(times) {
      Bun.gc(true);
      const before = heapStats().heapCapacity;
      repeat(times);
      return heapStats().heapCapacity - before;
    }
    grown(1000);
    const overhead = grown(1000); // of the measurement
    console.log(grown(${CALLS}) - overhead);
  `);
  expect(stderr).toBe("");
  return output as number;
}

const BLOCK_BYTES = 16_384; // the heap grows by whole blocks

test.each([
  ["with an event", "sum += epoll.pollInto(events, 0) + events.fd(0) + events.mask(0) + events.token(0);"],
  ["without an event", "sum += empty.pollInto(events, 0);"],
  ["with a timeout", "sum += epoll.pollInto(events, 1000);"],
])("pollInto %s allocates nothing", async (_, body) => {
  const setUp = body.includes("empty") ? "const empty = (globalThis.empty ??= new Epoll());" : "";
  expect(await growth(setUp + body)).toBeLessThanOrEqual(BLOCK_BYTES);
});

test("register, modify and unregister allocate nothing", async () => {
  const body = "epoll.modify(ready, EPOLLOUT, i); epoll.unregister(ready); epoll.register(ready, EPOLLIN, i);";
  expect(await growth(body)).toBeLessThanOrEqual(BLOCK_BYTES);
});

test("the measurement detects one small object per call", async () => {
  expect(await growth("sum += epoll.pollInto(events, 0); kept = { i };")).toBeGreaterThan(100 * BLOCK_BYTES);
});
