// watch() with a callback: when it is called, and when not.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  ErrnoError,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  Epoll,
  socketpair,
  type Watch,
  watch,
} from "../../src/index.ts";
import { leavesNothing, waitingThreads } from "../support/threads.ts";
import { next, settled, turns, until } from "../support/turns.ts";

setDefaultTimeout(60_000);

test("it is called with the mask and the number when the descriptor is ready, from wherever that comes", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const heard = next<[number, number]>();
    const watcher = watch(ours, EPOLLIN, (mask, fd) => {
      watcher.close();
      heard.tell([mask, fd]);
    });
    expect([watcher.fd, watcher.mask, watcher.closed, watcher.hasRef()]).toEqual([ours.fileno(), EPOLLIN, false, true]);
    setTimeout(() => peer.send("a"), 1);
    expect(await heard.told).toEqual([EPOLLIN, ours.fileno()]);
    expect(watcher.closed).toBe(true);
    ours.close();
    peer.close();
  }));

test("level-triggered: again and again until it is drained, and then no more", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let calls = 0;
    const drained = next<void>();
    using _ = watch(ours, EPOLLIN, () => {
      if (++calls < 5) return;
      ours.recv(10);
      drained.tell();
    });
    peer.send("a");
    await drained.told;
    await settled();
    expect(calls).toBe(5);
    peer.send("b");
    await until(() => calls > 5);
    expect(calls).toBeGreaterThan(5);
    ours.close();
    peer.close();
  }));

test("EPOLLET: once for each arrival; EPOLLONESHOT: once until modify", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    for (const [flag, again] of [
      [EPOLLET, () => void peer.send("b")],
      [EPOLLONESHOT, (watcher: Watch) => watcher.modify(EPOLLIN | EPOLLONESHOT)],
    ] as const) {
      let calls = 0;
      const watcher = watch(ours, EPOLLIN | flag, () => void calls++);
      peer.send("a");
      await until(() => calls > 0);
      await settled();
      expect(calls).toBe(1);
      again(watcher);
      await until(() => calls > 1);
      await settled();
      expect(calls).toBe(2);
      watcher.close();
    }
    ours.close();
    peer.close();
  }));

test("modify watches for something else", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const masks: number[] = [];
    const watcher = watch(ours, EPOLLIN, (mask) => {
      masks.push(mask);
      watcher.modify(masks.length === 1 ? EPOLLIN : 0);
    });
    await settled();
    expect(masks).toEqual([]);
    watcher.modify(EPOLLOUT);
    expect(watcher.mask).toBe(EPOLLOUT);
    await until(() => masks.length > 0);
    peer.send("a");
    await until(() => masks.length > 1);
    await settled();
    expect(masks).toEqual([EPOLLOUT, EPOLLIN]);
    watcher.close();
    expect(() => watcher.modify(EPOLLIN)).toThrow("Watch.modify: this Watch is closed");
    ours.close();
    peer.close();
  }));

test("EPOLLHUP comes without being asked for", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const heard = next<number>();
    using _ = watch(ours, 0, (mask) => heard.tell(mask));
    peer.close();
    expect((await heard.told) & EPOLLHUP).toBe(EPOLLHUP);
    ours.close();
  }));

test("a watch that is closed in a callback hears nothing any more, not even of the same iteration", () =>
  leavesNothing(async () => {
    const pairs = Array.from({ length: 20 }, () => socketpair());
    let calls = 0;
    const watchers = pairs.map(([ours]) =>
      watch(ours, EPOLLIN, () => {
        calls++;
        for (const watcher of watchers) watcher.close();
      }),
    );
    for (const [, peer] of pairs) peer.send("a");
    await until(() => calls > 0);
    await settled();
    expect(calls).toBe(1);
    for (const socket of pairs.flat()) socket.close();
  }));

test("one that is opened in a callback, on a number that was just closed, hears only of its own", () =>
  leavesNothing(async () => {
    const pairs = Array.from({ length: 10 }, () => socketpair());
    const heard: number[] = [];
    let replaced: [ReturnType<typeof watch>, ReturnType<typeof socketpair>] | undefined;
    const watchers = pairs.map(([ours]) =>
      watch(ours, EPOLLIN, () => {
        ours.recv(10);
        if (replaced !== undefined) return;
        // The other's event is in the same iteration's list: its number becomes another's.
        const other = pairs.findLast(([socket]) => socket !== ours && !socket.closed) as (typeof pairs)[number];
        const fd = other[0].fileno();
        watchers[pairs.indexOf(other)]?.close();
        other[0].close();
        const pair = socketpair();
        expect(pair.map((socket) => socket.fileno())).toContain(fd);
        const mine = pair[0].fileno() === fd ? pair[0] : pair[1];
        replaced = [watch(mine, EPOLLIN, (mask) => void heard.push(mask)), pair];
      }),
    );
    for (const [, peer] of pairs) peer.send("a");
    await until(() => replaced !== undefined);
    await settled();
    expect(heard).toEqual([]);
    for (const watcher of watchers) watcher.close();
    replaced?.[0].close();
    for (const socket of [...pairs.flat(), ...(replaced?.[1] ?? [])]) socket.close();
  }));

test("timers, promises, fetch and Bun.serve run beside it, though a descriptor is always ready", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let calls = 0;
    using _ = watch(ours, EPOLLOUT, () => void calls++);
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("beside") });
    expect(await (await fetch(server.url, { keepalive: false })).text()).toBe("beside");
    await Bun.sleep(2);
    await new Promise(process.nextTick);
    const before = calls;
    await settled();
    expect(calls).toBeGreaterThan(before);
    await server.stop(true);
    ours.close();
    peer.close();
    await turns(5); // Bun closes its own descriptors in its own time
  }));

test("an Epoll is watched like any descriptor", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    using epoll = new Epoll();
    epoll.register(ours, EPOLLIN);
    const heard = next<unknown>();
    using _ = watch(epoll, EPOLLIN, () => {
      ours.recv(10);
      heard.tell(epoll.poll(0));
    });
    peer.send("a");
    expect(await heard.told).toEqual([]);
    ours.close();
    peer.close();
  }));

test("thousands share one bridge: one thread, a handful of descriptors", () =>
  leavesNothing(async () => {
    const { openFds } = await import("../support/fds.ts");
    const pairs = Array.from({ length: 500 }, () => socketpair());
    const before = openFds().size;
    const watchers = pairs.map(([ours]) => watch(ours, EPOLLIN, () => {}));
    expect(waitingThreads()).toBe(1);
    expect(openFds().size - before).toBeLessThan(6);
    for (const watcher of watchers) watcher.close();
    for (const socket of pairs.flat()) socket.close();
  }));

test("what cannot be watched is refused, and leaves nothing", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const { openSync, closeSync } = await import("node:fs");
    const file = openSync(import.meta.path, "r");
    expect(() => watch(file, EPOLLIN, () => {})).toThrow("EPERM: operation not permitted, epoll_ctl");
    closeSync(file);
    expect(() => watch(file, EPOLLIN, () => {})).toThrow("EBADF: bad file descriptor, epoll_ctl");
    expect(() => watch(-1, EPOLLIN, () => {})).toThrow(RangeError);
    expect(() => watch("3" as never, EPOLLIN, () => {})).toThrow(TypeError);
    expect(() => watch(ours, 2 ** 33, () => {})).toThrow(RangeError);
    expect(() => watch(ours, EPOLLIN, "call" as never)).toThrow("watch takes a function to call back");
    expect(() => watch(ours, EPOLLIN, () => {}, { signal: {} as never })).toThrow("signal is an AbortSignal");
    const watcher = watch(ours, EPOLLIN, () => {});
    expect(() => watch(ours, EPOLLOUT, () => {})).toThrow(ErrnoError);
    expect(() => watch(ours, EPOLLOUT, () => {})).toThrow("EEXIST");
    expect(() => watcher.modify(2 ** 33)).toThrow(RangeError);
    expect(watcher.mask).toBe(EPOLLIN);
    watcher.close();
    watcher.close();
    ours.close();
    peer.close();
  }));
