// pollInto allocates nothing: 200 000 calls leave the JavaScript heap as large as a thousand do.

import { expect, setDefaultTimeout, test } from "bun:test";
import { runBun } from "../../support/children.ts";
import { everyFdIsClosed } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const CALLS = 200_000;

/** In a process of its own, whose heap is small: by how much it grows, in bytes, in `CALLS` times `body`. */
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
    repeat(50_000); // until all of it is compiled
    function grown(times) {
      Bun.gc(true);
      const before = heapStats().heapCapacity;
      repeat(times);
      return heapStats().heapCapacity - before;
    }
    grown(1000);
    const few = grown(1000); // what the measuring itself takes
    console.log(grown(${CALLS}) - few);
  `);
  expect(stderr).toBe("");
  return output as number;
}

const ONE_BLOCK = 16_384; // the heap grows in these

test.each([
  ["with an event", "sum += epoll.pollInto(events, 0) + events.fd(0) + events.mask(0) + events.token(0);"],
  ["without one", "sum += empty.pollInto(events, 0);"],
  ["that may wait", "sum += epoll.pollInto(events, 1000);"],
])("a call %s", async (_, body) => {
  const setUp = body.includes("empty") ? "const empty = (globalThis.empty ??= new Epoll());" : "";
  expect(await growth(setUp + body)).toBeLessThanOrEqual(ONE_BLOCK);
});

test("neither do register, modify and unregister", async () => {
  const body = "epoll.modify(ready, EPOLLOUT, i); epoll.unregister(ready); epoll.register(ready, EPOLLIN, i);";
  expect(await growth(body)).toBeLessThanOrEqual(ONE_BLOCK);
});

test("one small object in each call would be seen", async () => {
  expect(await growth("sum += epoll.pollInto(events, 0); kept = { i };")).toBeGreaterThan(100 * ONE_BLOCK);
});
