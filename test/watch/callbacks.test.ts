// watch() with a callback: when the callback is called, and when it is not.

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  ErrnoError,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  Epoll,
  type Socket,
  socketpair,
  type Watch,
  watch,
} from "../../src/index.ts";
import { leavesNothing, countBridgeThreads } from "../support/threads.ts";
import { runIterations, settled, until } from "../support/event-loop.ts";

setDefaultTimeout(60_000);

test("calls the callback with the mask and the fd when the fd becomes ready", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const received = Promise.withResolvers<[number, number]>();
    const watcher = watch(ours, EPOLLIN, (mask, fd) => {
      watcher.close();
      received.resolve([mask, fd]);
    });
    expect([watcher.fd, watcher.mask, watcher.closed, watcher.hasRef()]).toEqual([ours.fileno(), EPOLLIN, false, true]);
    setTimeout(() => peer.send("a"), 1);
    expect(await received.promise).toEqual([EPOLLIN, ours.fileno()]);
    expect(watcher.closed).toBe(true);
    ours.close();
    peer.close();
  }));

test("is level-triggered: calls the callback until the fd is drained", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let calls = 0;
    const drained = Promise.withResolvers<void>();
    using _ = watch(ours, EPOLLIN, () => {
      if (++calls < 5) return;
      ours.recv(10);
      drained.resolve();
    });
    peer.send("a");
    await drained.promise;
    await settled();
    expect(calls).toBe(5);
    peer.send("b");
    await until(() => calls > 5);
    expect(calls).toBeGreaterThan(5);
    ours.close();
    peer.close();
  }));

test("calls once per arrival with EPOLLET, and once until modify with EPOLLONESHOT", () =>
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

test("modify changes the events to watch for", () =>
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

test("reports EPOLLHUP even if it is not requested", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const received = Promise.withResolvers<number>();
    using _ = watch(ours, 0, (mask) => received.resolve(mask));
    peer.close();
    expect((await received.promise) & EPOLLHUP).toBe(EPOLLHUP);
    ours.close();
  }));

test("does not call the callback after close, not even in the same iteration", () =>
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

test("does not deliver an event of a closed fd to a new watch of the same fd number", () =>
  leavesNothing(async () => {
    const pairs = Array.from({ length: 10 }, () => socketpair());
    const received: number[] = [];
    let replaced: [ReturnType<typeof watch>, ReturnType<typeof socketpair>] | undefined;
    const watchers = pairs.map(([ours]) =>
      watch(ours, EPOLLIN, () => {
        ours.recv(10);
        if (replaced !== undefined) return;
        // The event of the other socket is in the same batch, and its fd is reused before that event is dispatched.
        const other = pairs.findLast(([socket]) => socket !== ours && !socket.closed) as (typeof pairs)[number];
        const fd = other[0].fileno();
        watchers[pairs.indexOf(other)]?.close();
        other[0].close();
        const pair = socketpair();
        expect(pair.map((socket) => socket.fileno())).toContain(fd);
        const mine = pair[0].fileno() === fd ? pair[0] : pair[1];
        replaced = [watch(mine, EPOLLIN, (mask) => void received.push(mask)), pair];
      }),
    );
    for (const [, peer] of pairs) peer.send("a");
    await until(() => replaced !== undefined);
    await settled();
    expect(received).toEqual([]);
    for (const watcher of watchers) watcher.close();
    replaced?.[0].close();
    for (const socket of [...pairs.flat(), ...(replaced?.[1] ?? [])]) socket.close();
  }));

test("timers, promises, fetch and Bun.serve run alongside a watch whose fd is always ready", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let calls = 0;
    using _ = watch(ours, EPOLLOUT, () => void calls++);
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("alongside") });
    expect(await (await fetch(server.url, { keepalive: false })).text()).toBe("alongside");
    await Bun.sleep(2);
    await new Promise(process.nextTick);
    const before = calls;
    await settled();
    expect(calls).toBeGreaterThan(before);
    await server.stop(true);
    ours.close();
    peer.close();
    await runIterations(5); // Bun closes the fds of the server a little later
  }));

test("watches an Epoll like any other fd", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    using epoll = new Epoll();
    epoll.register(ours, EPOLLIN);
    const received = Promise.withResolvers<unknown>();
    using _ = watch(epoll, EPOLLIN, () => {
      ours.recv(10);
      received.resolve(epoll.poll(0));
    });
    peer.send("a");
    expect(await received.promise).toEqual([]);
    ours.close();
    peer.close();
  }));

test("watches an Epoll that contains others, as deep as the kernel allows", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const epolls = Array.from({ length: 4 }, () => new Epoll());
    let inner: Socket | Epoll = ours;
    for (const epoll of epolls) {
      epoll.register(inner, EPOLLIN);
      inner = epoll;
    }
    const received = Promise.withResolvers<void>();
    using _ = watch(inner, EPOLLIN, () => (ours.recv(10), received.resolve()));
    peer.send("a");
    await received.promise;
    for (const each of [...epolls, ours, peer]) each.close();
  }));

test("many watches share one thread and a few fds", () =>
  leavesNothing(async () => {
    const { openFds } = await import("../support/fds.ts");
    const pairs = Array.from({ length: 500 }, () => socketpair());
    const before = openFds().size;
    const watchers = pairs.map(([ours]) => watch(ours, EPOLLIN, () => {}));
    expect(countBridgeThreads()).toBe(1);
    expect(openFds().size - before).toBeLessThan(6);
    for (const watcher of watchers) watcher.close();
    for (const socket of pairs.flat()) socket.close();
  }));

test("rejects fds that cannot be watched and invalid arguments, and leaves nothing open", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const { openSync, closeSync } = await import("node:fs");
    const file = openSync(import.meta.path, "r");
    expect(() => watch(file, EPOLLIN, () => {})).toThrow(
      "EPERM: operation not permitted, epoll_ctl: regular files, directories and devices such as /dev/null are always ready and cannot be watched",
    );
    closeSync(file);
    expect(() => watch(file, EPOLLIN, () => {})).toThrow("EBADF: bad file descriptor, epoll_ctl");
    expect(() => watch(-1, EPOLLIN, () => {})).toThrow(RangeError);
    expect(() => watch("3" as never, EPOLLIN, () => {})).toThrow(TypeError);
    expect(() => watch(ours, 2 ** 33, () => {})).toThrow(RangeError);
    expect(() => watch(ours, EPOLLIN, "call" as never)).toThrow(
      'callback must be a function, or omitted to iterate over the watch; received "call"',
    );
    expect(() => watch(ours, EPOLLIN, () => {}, { signal: {} as never })).toThrow(
      "signal must be an AbortSignal; received an instance of Object",
    );
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
