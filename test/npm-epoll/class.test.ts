// epoll-hello/npm-epoll: the Epoll class of the npm package `epoll`.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type InternetAddress, MSG_OOB, Socket, socketpair } from "../../src/index.ts";
import { Epoll } from "../../src/npm-epoll/index.ts";
import { endPrograms, run } from "../support/programs.ts";
import { accepted } from "../support/sockets.ts";
import { leavesNothing } from "../support/threads.ts";
import { settled, until } from "../support/event-loop.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test("calls the callback with null, the fd and the events, and methods return the same values as the package's", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const received = Promise.withResolvers<unknown[]>();
    const poller = new Epoll((...call) => {
      poller.remove(ours.fileno());
      received.resolve(call);
    });
    expect(poller.add(ours.fileno(), Epoll.EPOLLIN | Epoll.EPOLLONESHOT)).toBe(poller);
    expect(poller.modify(ours.fileno(), Epoll.EPOLLIN)).toBe(poller);
    peer.send("a");
    expect(await received.promise).toEqual([null, ours.fileno(), Epoll.EPOLLIN]);
    expect([poller.closed, poller.close(), poller.closed]).toEqual([false, null, true]);
    ours.close();
    peer.close();
  }));

test("has the constants of the package", () => {
  const { EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLONESHOT, EPOLLET } = Epoll;
  expect([EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP, EPOLLONESHOT, EPOLLET]).toEqual([
    1, 2, 4, 8, 16, 0x2000, 0x40000000, 0x80000000,
  ]);
});

test("reports one event until modify with EPOLLONESHOT", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let events = 0;
    const poller = new Epoll(() => void events++);
    poller.add(ours.fileno(), Epoll.EPOLLIN | Epoll.EPOLLONESHOT);
    peer.send("a");
    await until(() => events === 1);
    await settled();
    expect(events).toBe(1);
    poller.modify(ours.fileno(), Epoll.EPOLLIN | Epoll.EPOLLONESHOT);
    await until(() => events === 2);
    poller.remove(ours.fileno()).close();
    ours.close();
    peer.close();
  }));

test("drops events of a removed fd, which another instance can add", () =>
  leavesNothing(async () => {
    const pairs = [socketpair(), socketpair()];
    const received: number[] = [];
    const poller = new Epoll((_, fd) => {
      received.push(fd);
      for (const [ours] of pairs) poller.remove(ours.fileno());
    });
    for (const [ours, peer] of pairs) {
      poller.add(ours.fileno(), Epoll.EPOLLIN);
      peer.send("a");
    }
    await until(() => received.length > 0);
    await settled();
    expect(received).toHaveLength(1);
    const another = new Epoll(() => {}).add(pairs[0]?.[0].fileno() as number, Epoll.EPOLLIN);
    poller.close();
    another.close();
    for (const socket of pairs.flat()) socket.close();
  }));

test("throws errors with a code for invalid calls", () =>
  leavesNothing(() => {
    const [ours, peer] = socketpair();
    const fd = ours.fileno();
    expect(() => new Epoll(undefined as never)).toThrow(TypeError);
    const poller = new Epoll(() => {});
    expect(() => poller.modify(fd, Epoll.EPOLLIN)).toThrow("ENOENT");
    expect(() => poller.remove(fd)).toThrow("ENOENT");
    const file = openSync(import.meta.path, "r");
    expect(() => poller.add(file, Epoll.EPOLLIN)).toThrow("EPERM");
    closeSync(file);
    poller.add(fd, Epoll.EPOLLIN);
    expect(() => poller.add(fd, Epoll.EPOLLIN)).toThrow("EEXIST");
    expect(() => new Epoll(() => {}).add(fd, Epoll.EPOLLIN)).toThrow("EEXIST");
    poller.remove(fd);
    expect(() => poller.remove(fd)).toThrow("ENOENT");
    poller.close();
    for (const call of [
      () => poller.add(fd, 1),
      () => poller.modify(fd, 1),
      () => poller.remove(fd),
      () => poller.close(),
    ]) {
      expect(call).toThrow("this Epoll is closed");
    }
    ours.close();
    peer.close();
  }));

test("reports urgent data with EPOLLPRI", () =>
  leavesNothing(async () => {
    const listener = new Socket();
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    const peer = new Socket();
    peer.connect(listener.getsockname() as InternetAddress);
    const { socket: ours } = accepted(listener);
    listener.close();
    const received = Promise.withResolvers<number>();
    const poller = new Epoll((_, fd, events) => {
      poller.remove(fd);
      received.resolve(events);
    });
    poller.add(ours.fileno(), Epoll.EPOLLPRI);
    peer.send("!", MSG_OOB);
    expect(await received.promise).toBe(Epoll.EPOLLPRI);
    poller.close();
    ours.close();
    peer.close();
  }));

test("runs a program written for the package, with only its import changed", async () => {
  const program = `
    const { Epoll } = await import("./src/npm-epoll/index.ts");
    const fs = require("fs");
    const [path, out] = process.argv.slice(-2);
    const value = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    const buffer = Buffer.alloc(1);
    let presses = 0;
    const poller = new Epoll((err, fd, events) => {
      fs.readSync(fd, buffer, 0, 1, null);
      console.log(buffer.toString() === "1" ? "pressed" : "released");
      if (++presses === 4) poller.remove(value).close();
      else fs.writeSync(value, presses % 2 ? "0" : "1");
    });
    poller.add(value, Epoll.EPOLLIN);
    fs.writeSync(value, "1");
  `;
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const fifo = join(directory, "value");
  try {
    expect((await run(["mkfifo", fifo])).code).toBe(0);
    const { stdout, code } = await run(["bun", "-e", program, fifo, ""]);
    expect([stdout, code]).toEqual(["pressed\nreleased\npressed\nreleased\n", 0]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
