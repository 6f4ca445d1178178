// watch() without a callback: an async iterator with one mask per step.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT, socketpair, watch } from "../../src/index.ts";
import { leavesNothing } from "../support/threads.ts";
import { runIterations, settled, until } from "../support/event-loop.ts";

setDefaultTimeout(60_000);

test("each step waits until the fd is ready, and leaving the loop closes the watch", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const watcher = watch(ours, EPOLLIN);
    let text = "";
    peer.send("a");
    for await (const mask of watcher) {
      expect(mask).toBe(EPOLLIN);
      text += Buffer.from(ours.recv(10) ?? []).toString();
      if (text === "abc") break;
      setTimeout(() => peer.send(String.fromCharCode(97 + text.length)), 1);
    }
    expect([text, watcher.closed]).toEqual(["abc", true]);
    ours.close();
    peer.close();
  }));

test("between steps the fd is not watched, and at most one event is kept", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const iterator = watch(ours, EPOLLIN | EPOLLOUT)[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: EPOLLOUT });
    peer.send("a");
    await settled();
    expect(await iterator.next()).toEqual({ done: false, value: EPOLLIN | EPOLLOUT });
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    ours.close();
    peer.close();
  }));

test("each of several pending next() calls gets an event", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const watcher = watch(ours, EPOLLIN);
    const iterator = watcher[Symbol.asyncIterator]();
    const all = Promise.all([iterator.next(), iterator.next(), iterator.next()]);
    peer.send("a");
    expect((await all).map(({ value }) => value)).toEqual([EPOLLIN, EPOLLIN, EPOLLIN]);
    watcher.close();
    ours.close();
    peer.close();
  }));

test("an AbortSignal closes the watch: before the first step, while waiting, between steps, and with a callback", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const masks: number[] = [];
    for await (const mask of watch(ours, EPOLLOUT, { signal: AbortSignal.abort() })) masks.push(mask);
    expect(masks).toEqual([]);

    const waiting = new AbortController();
    setTimeout(() => waiting.abort(), 1);
    for await (const mask of watch(ours, EPOLLIN, { signal: waiting.signal })) masks.push(mask);
    expect(masks).toEqual([]);

    const between = new AbortController();
    for await (const mask of watch(ours, EPOLLOUT, { signal: between.signal })) {
      masks.push(mask);
      between.abort();
    }
    expect(masks).toEqual([EPOLLOUT]);

    const calling = new AbortController();
    let calls = 0;
    const watcher = watch(ours, EPOLLOUT, () => void (++calls, calling.abort()), { signal: calling.signal });
    await until(() => calls > 0);
    await settled();
    expect([calls, watcher.closed]).toEqual([1, true]);
    ours.close();
    peer.close();
  }));

test("close ends a pending iteration", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const watcher = watch(ours, EPOLLIN);
    setTimeout(() => watcher.close(), 1);
    for await (const _ of watcher) expect.unreachable();
    ours.close();
    peer.close();
  }));

test("modify changes the events that a pending step waits for", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const watcher = watch(ours, EPOLLIN);
    const result = watcher[Symbol.asyncIterator]().next();
    await runIterations(5);
    watcher.modify(EPOLLOUT);
    expect(await result).toEqual({ done: false, value: EPOLLOUT });
    watcher.close();
    ours.close();
    peer.close();
  }));

test("a watch with a callback is not iterable", () =>
  leavesNothing(() => {
    const [ours, peer] = socketpair();
    using watcher = watch(ours, EPOLLIN, () => {});
    expect(() => watcher[Symbol.asyncIterator]()).toThrow("omit the callback");
    ours.close();
    peer.close();
  }));
