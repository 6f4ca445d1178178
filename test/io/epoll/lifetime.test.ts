// Memory safety of event lists under garbage collection and JIT compilation.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { runBun } from "../../support/children.ts";
import { EventFd, everyFdIsClosed } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

test("events are correct with a garbage collection between polls", async () => {
  // In a separate process: collecting its small heap takes 0.5 ms.
  const { output, stderr } = await runBun(`
    import { Epoll, EPOLLIN, EventList } from "./src/index.ts";
    import { syscalls } from "./src/kernel/ffi.ts";
    const epoll = new Epoll();
    const fd = syscalls().eventfd(1, 0);
    epoll.register(fd, EPOLLIN);
    const kept = new EventList(1);
    let right = 0;
    for (let i = 0; i < 2000; i++) {
      const fresh = new EventList(1 + (i % 3));
      epoll.modify(fd, EPOLLIN, i);
      Bun.gc(true);
      for (const events of [kept, fresh]) {
        const n = epoll.pollInto(events, 0);
        if (n === 1 && events.fd(0) === fd && events.mask(0) === EPOLLIN && events.token(0) === i) right++;
      }
      const [polled, mask] = epoll.poll(0, 1 + (i % 2))[0];
      if (polled === fd && mask === EPOLLIN) right++;
    }
    console.log(right);
  `);
  expect(stderr).toBe("");
  expect(output).toBe(6000);
});

test("events are correct in every tier of the JIT", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  const fd = eventfd.fileno();
  epoll.register(eventfd, EPOLLIN);
  const events = new EventList(1);
  let wrong = 0;
  for (let i = 0; i < 300_000; i++) {
    const mask = i & 1 ? EPOLLIN : EPOLLOUT;
    epoll.modify(fd, mask, i);
    if (epoll.pollInto(events, 0) !== 1) wrong++;
    if (events.fd(0) !== fd || events.mask(0) !== mask || events.token(0) !== i) wrong++;
  }
  expect(wrong).toBe(0);
});

test("events are correct in short-lived lists", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd(1);
  epoll.register(eventfd, EPOLLIN, 9);
  let wrong = 0;
  for (let i = 0; i < 50_000; i++) {
    const events = new EventList(1);
    if (epoll.pollInto(events, 0) !== 1 || events.token(0) !== 9) wrong++;
  }
  expect(wrong).toBe(0);
});

test("collecting an unreferenced Epoll does not close its fd", () => {
  using eventfd = new EventFd(1);
  const fd = (() => new Epoll().fileno())();
  for (let i = 0; i < 10; i++) Bun.gc(true);
  using epoll = Epoll.fromfd(fd);
  epoll.register(eventfd, EPOLLIN);
  expect(epoll.poll(0)).toEqual([[eventfd.fileno(), EPOLLIN]]);
});
