// A kernel that refuses, callbacks that throw, events that are stale: nothing leaks, nothing spins, the others are served.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLLIN,
  EPOLLHUP,
  EPOLLOUT,
  F_DUPFD_CLOEXEC,
} from "../../src/kernel/constants.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { Epoll, EpollServer, type ServerWarning, Socket } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { complete, GET, Stage, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

const EMFILE = -24;
const ENOSPC = -28;
const EBADF = -9;

test("without descriptors accepting rests, is said once, and goes on when a connection closes", () =>
  leavesNoFd(() => {
    let left = 2;
    let calls = 0;
    const warnings: ServerWarning[] = [];
    const sys = sysWith((host) => ({
      accept4(...args) {
        calls++;
        if (left === 0) return EMFILE;
        const fd = host.accept4(...args);
        if (fd >= 0) left--;
        return fd;
      },
    }));
    using stage = new Stage({ onWarning: (warning) => warnings.push(warning) }, sys);
    const [first, second, third] = [stage.client(GET), stage.client(GET), stage.client(GET)];
    for (const client of [first, second]) stage.receive(client, complete);
    stage.settle();
    calls = 0;
    for (let i = 0; i < 50; i++) stage.server.tick(0);
    expect(calls).toBe(0); // it does not spin
    expect(warnings.map(({ code }) => code)).toEqual(["EMFILE"]);
    expect(warnings[0]?.message).toContain("with 2 connections open");
    second.send(GET);
    stage.receive(second, complete); // who is in is served
    left = 1;
    first.close();
    expect(stage.receive(third, complete)).toContain("200 OK");
    expect(warnings).toHaveLength(1);
  }));

test("without descriptors accepting goes on by itself, when others have closed theirs", () =>
  leavesNoFd(() => {
    let isFull = true;
    const sys = sysWith((host) => ({ accept4: (...args) => (isFull ? EMFILE : host.accept4(...args)) }));
    using stage = new Stage({}, sys);
    const client = stage.client(GET);
    stage.settle();
    isFull = false;
    stage.clock.ms += 100;
    stage.receive(client, complete);
  }));

test("an accept that fails for ever does not make it spin", () =>
  leavesNoFd(() => {
    let calls = 0;
    const sys = sysWith(() => ({ accept4: () => (calls++, -1) })); // EPERM
    using stage = new Stage({}, sys);
    stage.client(GET);
    for (let i = 0; i < 1000; i++) stage.server.tick(0);
    expect(calls).toBeLessThan(200);
  }));

test("a connection that was aborted while it waited is passed over", () =>
  leavesNoFd(() => {
    let isFirst = true;
    const sys = sysWith((host) => ({
      accept4(...args) {
        if (!isFirst) return host.accept4(...args);
        isFirst = false;
        return -103; // ECONNABORTED
      },
    }));
    using stage = new Stage({}, sys);
    stage.receive(stage.client(GET), complete);
  }));

test("a listener that epoll does not take leaves no descriptor", () =>
  leavesNoFd(() => {
    const sys = sysWith(() => ({ epoll_ctl: () => ENOSPC }));
    for (let i = 0; i < 5; i++)
      expect(() => new EpollServer({}, sys)).toThrow("ENOSPC: no space left on device, epoll_ctl");
  }));

test("a connection that epoll does not take is ended, with a warning", () =>
  leavesNoFd(() => {
    let isFull = false;
    const sys = sysWith((host) => ({
      epoll_ctl: (epfd, op, ...rest) => (isFull && op === EPOLL_CTL_ADD ? ENOSPC : host.epoll_ctl(epfd, op, ...rest)),
    }));
    const codes: string[] = [];
    using stage = new Stage({ onWarning: ({ code }) => codes.push(code) }, sys);
    isFull = true;
    const lost = stage.client(GET);
    stage.settle();
    isFull = false;
    stage.receive(stage.client(GET), complete);
    expect(codes).toEqual(["ENOSPC"]);
    expect(stage.fate(lost)).toBe("reset");
    expect(stage.server.stats.open).toBe(1);
  }));

test("a wake-up that epoll does not take leaves signals as they were, and no descriptor", () =>
  leavesNoFd(() => {
    const before = caughtSignals();
    const sys = sysWith((host) => ({
      epoll_ctl: (epfd, op, fd, mask, token) => (token === 1 ? -12 : host.epoll_ctl(epfd, op, fd, mask, token)),
    }));
    const server = new EpollServer({}, sys);
    expect(() => server.run()).toThrow("ENOMEM");
    expect(server.closed).toBe(true);
    expect(caughtSignals()).toBe(before);
  }));

test("epoll_ctl that fails at the end does not keep the rest from being closed", () =>
  leavesNoFd(() => {
    let isBroken = false;
    const before = caughtSignals();
    const sys = sysWith((host) => ({
      epoll_ctl(epfd, op, ...rest) {
        const result = host.epoll_ctl(epfd, op, ...rest);
        return isBroken && op === EPOLL_CTL_DEL ? EBADF : result;
      },
    }));
    const onRequest = (): void => {
      isBroken = true;
      throw new Error("the user's own");
    };
    const server = new EpollServer({ hostname: "127.0.0.1", onRequest }, sys);
    using client = new Socket();
    client.connect({ address: "127.0.0.1", port: server.port as number });
    client.send(GET);
    expect(() => server.run()).toThrow("the user's own");
    expect(server.closed).toBe(true);
    expect(caughtSignals()).toBe(before);
  }));

test("a callback that throws ends its connection, and the others are served", () =>
  leavesNoFd(() => {
    const onRequest = ({ target }: { target: string }): void => {
      if (target === "/bad") throw new Error("the user's own");
    };
    using stage = new Stage({ onRequest });
    const bad = stage.client("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
    let thrown = 0;
    for (let i = 0; i < 20; i++) {
      try {
        stage.server.tick(1);
      } catch {
        thrown++;
      }
    }
    expect(thrown).toBe(1);
    expect(stage.fate(bad)).toBe("reset");
    stage.receive(stage.client(GET), complete);
    expect(stage.server.stats.open).toBe(1);
  }));

test("a callback that throws at a request that was kept back is no worse", () =>
  leavesNoFd(() => {
    const onRequest = ({ target }: { target: string }): void => {
      if (target === "/bad") throw new Error("the user's own");
    };
    using stage = new Stage({ onRequest, response: Buffer.alloc(300_000, "x") });
    const bad = stage.client(["/1", "/2", "/bad"].map((target) => GET.replace("/", target)).join(""));
    let thrown = 0;
    for (let i = 0; i < 50; i++) {
      try {
        stage.server.tick(1);
      } catch (error) {
        expect(String(error)).toContain("the user's own");
        thrown++;
      }
      if (stage.fate(bad) !== "open") break;
    }
    expect(thrown).toBe(1);
    expect(stage.server.stats.open).toBe(0);
  }));

test("a callback that throws at a head that came too late is heard once", () =>
  leavesNoFd(() => {
    const onRequest = (): void => {
      throw new Error("the user's own");
    };
    using stage = new Stage({ onRequest, headerTimeoutMs: 1000 });
    const late = stage.client(GET.slice(0, 10));
    stage.settle();
    stage.clock.ms += 1000;
    expect(() => stage.server.tick(0)).toThrow("the user's own");
    stage.settle();
    expect(stage.fate(late)).toBe("reset");
    expect(stage.server.stats).toMatchObject({ open: 0, rejected: 1 });
  }));

test("room that is found when the time for it is over counts, also if as much again is queued", () =>
  leavesNoFd(() => {
    let isBlocked = true;
    let isBlind = false;
    const sys = sysWith((host) => ({
      send: (...args) => (isBlocked ? -11 : host.send(...args)), // EAGAIN
      epoll_wait: (...args) => (isBlind ? 0 : host.epoll_wait(...args)),
    }));
    using stage = new Stage({ writeTimeoutMs: 1000, response: Buffer.alloc(300_000, "x") }, sys);
    const client = stage.client(GET.repeat(2)); // the second is kept back: the first reply is above the high water
    stage.server.tick(1);
    isBlocked = false;
    isBlind = true;
    stage.clock.ms += 1000;
    stage.server.tick(0);
    isBlind = false;
    stage.receive(client, /x{300000}HTTP[^]*x{300000}$/);
    expect(stage.server.stats).toMatchObject({ timeouts: 0, requests: 2, open: 1 });
  }));

test("two events for one descriptor in one iteration: the second finds what the first has left", () =>
  leavesNoFd(() => {
    for (const second of [EPOLLIN, EPOLLOUT, EPOLLHUP]) {
      const sys = sysWith((host) => ({
        epoll_wait(epfd, out, max, timeoutMs) {
          const n = host.epoll_wait(epfd, out, max, timeoutMs);
          const token = out[2] as number;
          if (n !== 1 || token < 2) return n;
          out.set([second, out[1] as number, token], 3);
          return 2;
        },
      }));
      using stage = new Stage({}, sys);
      const client = stage.client();
      stage.settle();
      client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); // the first event closes it
      expect(stage.receive(client, complete)).toContain("200 OK");
      stage.settle();
      expect(stage.server.stats).toMatchObject({ requests: 1, open: 0, errors: 0 });
    }
  }));

test("a registration that is nobody's comes once, and not for ever", () =>
  leavesNoFd(() => {
    let epfd = -1;
    const sys = sysWith((host) => ({
      epoll_create1(flags) {
        epfd = host.epoll_create1(flags);
        return epfd;
      },
    }));
    using stage = new Stage({}, sys);
    using ours = new Epoll(syscalls().fcntl(epfd, F_DUPFD_CLOEXEC, 0));
    const fd = syscalls().eventfd(1, 0);
    ours.register(fd, EPOLLIN, 77);
    expect([stage.server.tick(0), stage.server.tick(0)]).toEqual([1, 0]);
    syscalls().close(fd);
  }));

test("a duplicate of a connection elsewhere does not keep its registration alive", () =>
  leavesNoFd(() => {
    let duplicate = -1;
    const sys = sysWith((host) => ({
      accept4(...args) {
        const fd = host.accept4(...args);
        if (fd >= 0) duplicate = host.fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return fd;
      },
    }));
    using stage = new Stage({}, sys);
    const client = stage.client(GET);
    stage.receive(client, complete);
    client.close();
    stage.settle();
    expect(stage.server.stats.open).toBe(0);
    expect(stage.server.tick(0)).toBe(0);
    syscalls().close(duplicate);
  }));

/** The mask of signals that the process catches, from /proc. */
function caughtSignals(): string | undefined {
  return /SigCgt:\s*(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
}
