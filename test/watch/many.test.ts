// Many watches, many wake-ups: none is lost, none is stale, and Bun's own loop has its turns.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../../src/kernel/constants.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { EPOLLIN, EPOLLOUT, Socket, socketpair, watch } from "../../src/index.ts";
import { scaled } from "../support/scale.ts";
import { leavesNothing, waitingThreads } from "../support/threads.ts";
import { next, settled, turns, until } from "../support/turns.ts";

setDefaultTimeout(60_000);

/** Each goes by the thread or not, as it happens. For more of them: WAKE_UPS=1000000 bun test test/watch/many.test.ts */
const WAKE_UPS = Number(process.env["WAKE_UPS"] ?? scaled(5_000, 20_000));
const MANY = 10_000;
/** So many callbacks in one turn at most. */
const BOUND = 256;

test("ten thousand watches share one thread; each hears of its own descriptor", () =>
  leavesNothing(async () => {
    const sys = syscalls();
    const one = new BigUint64Array([1n]);
    const fds = Array.from({ length: MANY }, () => sys.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    expect(Math.min(...fds)).toBeGreaterThan(0); // else: raise the limit, ulimit -n
    const heard: number[] = [];
    const watchers = fds.map((fd) =>
      watch(fd, EPOLLIN, (_, number) => {
        heard.push(number);
        sys.read(number, new Uint8Array(new ArrayBuffer(8)), 0, 8);
      }),
    );
    expect(waitingThreads()).toBe(1);
    const bytes = new Uint8Array(one.buffer);
    for (const fd of fds) sys.write(fd, bytes, 0, 8);
    await until(() => heard.length >= MANY);
    await settled();
    expect(heard.toSorted((a, b) => a - b)).toEqual(fds.toSorted((a, b) => a - b));
    for (const watcher of watchers) watcher.close();
    for (const fd of fds) sys.close(fd);
  }));

test("however many are ready, Bun's loop goes round after a bound", () =>
  leavesNothing(async () => {
    const sockets = Array.from({ length: 2 * BOUND }, () => socketpair()).flat();
    let calls = 0;
    const watchers = sockets.map((socket) => watch(socket, EPOLLOUT, () => void calls++));
    await until(() => calls > 0);
    let most = 0;
    for (let i = 0; i < 100; i++) {
      const before = calls;
      await turns(1);
      most = Math.max(most, calls - before);
    }
    expect(calls).toBeGreaterThan(10 * BOUND);
    expect(most).toBeLessThanOrEqual(2 * BOUND); // an iteration each side of the turn
    await Bun.sleep(1);
    for (const watcher of watchers) watcher.close();
    for (const socket of sockets) socket.close();
  }));

test(
  `${WAKE_UPS} wake-ups under a forced collector: none is lost, none is stale`,
  () =>
    leavesNothing(async () => {
      const [ours, peer] = socketpair();
      const done = next<void>();
      let [sent, heard, stale, random] = [0, 0, 0, 1];
      let watcher = watch(ours, EPOLLIN, receive);
      const byte = new Uint8Array(1);
      const send = (): void => {
        byte[0] = ++sent & 0xff;
        peer.send(byte);
      };
      function receive(): void {
        const bytes = ours.recv(10);
        if (bytes?.length !== 1 || bytes[0] !== (sent & 0xff) || ++heard !== sent) stale++;
        if (sent === WAKE_UPS) return done.tell();
        if (sent % 5_000 === 0) Bun.gc(true);
        random = (random * 1_103_515_245 + 12_345) & 0x7fffffff;
        const way = (random >>> 16) % 100;
        // At once; while it looks once more; when it parks; once it is parked; after it was closed and opened again.
        if (way < 20) send();
        else if (way < 50) setImmediate(send);
        else if (way < 80) setImmediate(() => setImmediate(send));
        else if (way < 98) setTimeout(send, 0);
        else {
          watcher.close();
          watcher = watch(ours, EPOLLIN, receive);
          send();
        }
      }
      send();
      await done.told;
      await settled();
      expect({ heard, stale }).toEqual({ heard: WAKE_UPS, stale: 0 });
      watcher.close();
      ours.close();
      peer.close();
    }),
  Math.max(60_000, WAKE_UPS),
);

test("a watch for each of a thousand connections that come and go leaves nothing", () =>
  leavesNothing(async () => {
    let echoed = 0;
    for (let round = 0; round < 20; round++) {
      const pairs = Array.from({ length: 50 }, () => socketpair());
      const before = echoed;
      const watchers = pairs.map(([ours]) =>
        watch(ours, EPOLLIN, () => {
          const bytes = ours.recv(10);
          if (bytes !== null && bytes.length > 0) ours.send(bytes);
        }),
      );
      const peers = pairs.map(([, peer]) => watch(peer, EPOLLIN, (_, fd) => void (echoed++, drain(pairs, fd))));
      for (const [, peer] of pairs) peer.send("a");
      await until(() => echoed - before === pairs.length);
      for (const watcher of [...watchers, ...peers]) watcher.close();
      for (const socket of pairs.flat()) socket.close();
    }
    expect(echoed).toBe(1000);
  }));

function drain(pairs: [Socket, Socket][], fd: number): void {
  pairs.find(([, peer]) => peer.fileno() === fd)?.[1].recv(10);
}
