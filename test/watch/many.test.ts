// Many watches and many wake-ups: no event is lost or stale, and the rest of Bun's event loop is not starved.

import { expect, setDefaultTimeout, test } from "bun:test";
import { EFD_CLOEXEC, EFD_NONBLOCK } from "../../src/kernel/constants.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { EPOLLIN, EPOLLOUT, Socket, socketpair, watch } from "../../src/index.ts";
import { scaled } from "../support/scale.ts";
import { leavesNothing, countBridgeThreads } from "../support/threads.ts";
import { runIterations, settled, until } from "../support/event-loop.ts";

setDefaultTimeout(60_000);

/** For more wake-ups, run WAKE_UPS=1000000 bun test test/watch/many.test.ts */
const WAKE_UPS = Number(process.env["WAKE_UPS"] ?? scaled(5_000, 20_000));
const MANY = 10_000;
/** Maximum number of callbacks in one iteration. */
const MAX_CALLBACKS = 256;

test("10,000 watches share one thread, and each gets the events of its fd", () =>
  leavesNothing(async () => {
    const sys = syscalls();
    const one = new BigUint64Array([1n]);
    const fds = Array.from({ length: MANY }, () => sys.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    expect(Math.min(...fds)).toBeGreaterThan(0); // if this fails, raise the limit: ulimit -n
    const received: number[] = [];
    const watchers = fds.map((fd) =>
      watch(fd, EPOLLIN, (_, number) => {
        received.push(number);
        sys.read(number, new Uint8Array(new ArrayBuffer(8)), 0, 8);
      }),
    );
    expect(countBridgeThreads()).toBe(1);
    const bytes = new Uint8Array(one.buffer);
    for (const fd of fds) sys.write(fd, bytes, 0, 8);
    await until(() => received.length >= MANY);
    await settled();
    expect(received.toSorted((a, b) => a - b)).toEqual(fds.toSorted((a, b) => a - b));
    for (const watcher of watchers) watcher.close();
    for (const fd of fds) sys.close(fd);
  }));

test("runs at most a fixed number of callbacks per iteration of Bun's loop", () =>
  leavesNothing(async () => {
    const sockets = Array.from({ length: 2 * MAX_CALLBACKS }, () => socketpair()).flat();
    let calls = 0;
    const watchers = sockets.map((socket) => watch(socket, EPOLLOUT, () => void calls++));
    await until(() => calls > 0);
    let max = 0;
    for (let i = 0; i < 100; i++) {
      const before = calls;
      await runIterations(1);
      max = Math.max(max, calls - before);
    }
    expect(calls).toBeGreaterThan(10 * MAX_CALLBACKS);
    expect(max).toBeLessThanOrEqual(2 * MAX_CALLBACKS); // one batch before and one after the immediate
    await Bun.sleep(1);
    for (const watcher of watchers) watcher.close();
    for (const socket of sockets) socket.close();
  }));

test(
  `${WAKE_UPS} wake-ups with forced garbage collection lose no event and deliver no stale one`,
  () =>
    leavesNothing(async () => {
      const [ours, peer] = socketpair();
      const done = Promise.withResolvers<void>();
      let [sent, received, stale, random] = [0, 0, 0, 1];
      let watcher = watch(ours, EPOLLIN, receive);
      const byte = new Uint8Array(1);
      const send = (): void => {
        byte[0] = ++sent & 0xff;
        peer.send(byte);
      };
      function receive(): void {
        const bytes = ours.recv(10);
        if (bytes?.length !== 1 || bytes[0] !== (sent & 0xff) || ++received !== sent) stale++;
        if (sent === WAKE_UPS) return done.resolve();
        if (sent % 5_000 === 0) Bun.gc(true);
        random = (random * 1_103_515_245 + 12_345) & 0x7fffffff;
        const way = (random >>> 16) % 100;
        // Immediately, in the next iteration, while the bridge is re-armed, after that, or after reopening the watch.
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
      await done.promise;
      await settled();
      expect({ received, stale }).toEqual({ received: WAKE_UPS, stale: 0 });
      watcher.close();
      ours.close();
      peer.close();
    }),
  Math.max(60_000, WAKE_UPS),
);

test("1,000 short-lived connections with a watch each leave nothing open", () =>
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

/** Receives from the peer with this fd. */
function drain(pairs: [Socket, Socket][], fd: number): void {
  pairs.find(([, peer]) => peer.fileno() === fd)?.[1].recv(10);
}
