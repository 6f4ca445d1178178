// While events follow each other after short pauses, iterations continue without events. That delays nothing, and ends.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, socketpair, watch } from "../../src/index.ts";
import { untilWaiting } from "../support/bridge-state.ts";
import { countWaits } from "../support/count-waits.ts";

setDefaultTimeout(60_000);

const ROUNDS = 2_000;

test("a dialog with another thread lets timers and sockets of Bun's run, and the loop is idle afterward", async () => {
  using web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") });
  const [ours, theirs] = socketpair();
  const worker = new Worker(new URL("../support/echo-worker.ts", import.meta.url).href);
  const exited = new Promise((resolve) => worker.addEventListener("close", resolve));
  worker.postMessage([theirs.detach(), 2 * ROUNDS + 1]);
  let left = 0;
  let onEnd = (): void => {};
  const watcher = watch(ours, EPOLLIN, () => {
    ours.recv(1);
    if (--left === 0) onEnd();
    else ours.send("a");
  });
  const dialog = async (): Promise<void> => {
    left = ROUNDS;
    ours.send("a");
    await new Promise<void>((resolve) => (onEnd = resolve));
  };

  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const first = dialog();
  do expect(await (await fetch(web.url)).text()).toBe("hello");
  while (left > 0);
  await first;
  expect(ticks).toBeGreaterThan(0);
  clearInterval(timer);

  await dialog();
  await untilWaiting(1); // although events were expected
  expect(await countWaits(() => Bun.sleep(30))).toBe(0);
  watcher.close();
  ours.send("a"); // the last one that the Worker waits for
  await exited;
  ours.close();
});
