// watch() without a callback: for await, one mask for each time that it is asked for.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EPOLLIN, EPOLLOUT, socketpair, watch } from "../../src/index.ts";
import { leavesNothing } from "../support/threads.ts";
import { settled, turns, until } from "../support/turns.ts";

setDefaultTimeout(60_000);

test("each turn of the loop waits until the descriptor is ready; leaving it closes the watch", () =>
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

test("between two turns nothing is watched: no event is kept for later but one", () =>
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

test("several that wait get an event each", () =>
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

test("an AbortSignal ends it: before it begins, while it waits, between two turns; also one with a callback", () =>
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

test("close ends who waits", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const watcher = watch(ours, EPOLLIN);
    setTimeout(() => watcher.close(), 1);
    for await (const _ of watcher) expect.unreachable();
    ours.close();
    peer.close();
  }));

test("modify while it waits: it waits for that", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const watcher = watch(ours, EPOLLIN);
    const told = watcher[Symbol.asyncIterator]().next();
    await turns(5);
    watcher.modify(EPOLLOUT);
    expect(await told).toEqual({ done: false, value: EPOLLOUT });
    watcher.close();
    ours.close();
    peer.close();
  }));

test("one that calls back is not iterated over", () =>
  leavesNothing(() => {
    const [ours, peer] = socketpair();
    using watcher = watch(ours, EPOLLIN, () => {});
    expect(() => watcher[Symbol.asyncIterator]()).toThrow("leave out the function");
    ours.close();
    peer.close();
  }));
