// System calls that fail, callbacks that throw, stale events: nothing leaks, nothing spins, other clients are served.

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
import { complete, GET, ServerHarness, sysWith } from "../support/server.ts";

setDefaultTimeout(60_000);

const EMFILE = -24;
const ENOSPC = -28;
const EBADF = -9;

test("out of file descriptors: accepting pauses with one warning, and resumes when a connection closes", () =>
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
    using harness = new ServerHarness({ onWarning: (warning) => warnings.push(warning) }, sys);
    const [first, second, third] = [harness.client(GET), harness.client(GET), harness.client(GET)];
    for (const client of [first, second]) harness.receive(client, complete);
    harness.settle();
    calls = 0;
    for (let i = 0; i < 50; i++) harness.server.tick(0);
    expect(calls).toBe(0); // it does not spin
    expect(warnings.map(({ code }) => code)).toEqual(["EMFILE"]);
    expect(warnings[0]?.message).toContain("accepting is paused at 2 open connections");
    second.send(GET);
    harness.receive(second, complete); // open connections are served
    left = 1;
    first.close();
    expect(harness.receive(third, complete)).toContain("200 OK");
    expect(warnings).toHaveLength(1);
  }));

test("out of file descriptors: accepting resumes after a moment, even if no connection closes", () =>
  leavesNoFd(() => {
    let isFull = true;
    const sys = sysWith((host) => ({ accept4: (...args) => (isFull ? EMFILE : host.accept4(...args)) }));
    using harness = new ServerHarness({}, sys);
    const client = harness.client(GET);
    harness.settle();
    isFull = false;
    harness.clock.ms += 100;
    harness.receive(client, complete);
  }));

test("does not spin if accept4 fails every time", () =>
  leavesNoFd(() => {
    let calls = 0;
    const sys = sysWith(() => ({ accept4: () => (calls++, -1) })); // EPERM
    using harness = new ServerHarness({}, sys);
    harness.client(GET);
    for (let i = 0; i < 1000; i++) harness.server.tick(0);
    expect(calls).toBeLessThan(200);
  }));

test("skips a connection that was aborted in the backlog", () =>
  leavesNoFd(() => {
    let isFirst = true;
    const sys = sysWith((host) => ({
      accept4(...args) {
        if (!isFirst) return host.accept4(...args);
        isFirst = false;
        return -103; // ECONNABORTED
      },
    }));
    using harness = new ServerHarness({}, sys);
    harness.receive(harness.client(GET), complete);
  }));

test("leaves no fd open if the listener cannot be registered", () =>
  leavesNoFd(() => {
    const sys = sysWith(() => ({ epoll_ctl: () => ENOSPC }));
    for (let i = 0; i < 5; i++)
      expect(() => new EpollServer({}, sys)).toThrow("ENOSPC: no space left on device, epoll_ctl");
  }));

test("closes a connection that cannot be registered, with a warning", () =>
  leavesNoFd(() => {
    let isFull = false;
    const sys = sysWith((host) => ({
      epoll_ctl: (epfd, op, ...rest) => (isFull && op === EPOLL_CTL_ADD ? ENOSPC : host.epoll_ctl(epfd, op, ...rest)),
    }));
    const codes: string[] = [];
    using harness = new ServerHarness({ onWarning: ({ code }) => codes.push(code) }, sys);
    isFull = true;
    const lost = harness.client(GET);
    harness.settle();
    isFull = false;
    harness.receive(harness.client(GET), complete);
    expect(codes).toEqual(["ENOSPC"]);
    expect(harness.fate(lost)).toBe("reset");
    expect(harness.server.stats.open).toBe(1);
  }));

test("run() restores the signals and closes everything if their fd cannot be registered", () =>
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

test("closes everything if unregistering fails while run() ends", () =>
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
      throw new Error("from the application");
    };
    const server = new EpollServer({ hostname: "127.0.0.1", onRequest }, sys);
    using client = new Socket();
    client.connect({ address: "127.0.0.1", port: server.port as number });
    client.send(GET);
    expect(() => server.run()).toThrow("from the application");
    expect(server.closed).toBe(true);
    expect(caughtSignals()).toBe(before);
  }));

test("resets the connection whose callback throws, and serves the others", () =>
  leavesNoFd(() => {
    const onRequest = ({ target }: { target: string }): void => {
      if (target === "/bad") throw new Error("from the application");
    };
    using harness = new ServerHarness({ onRequest });
    const bad = harness.client("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
    let thrown = 0;
    for (let i = 0; i < 20; i++) {
      try {
        harness.server.tick(1);
      } catch {
        thrown++;
      }
    }
    expect(thrown).toBe(1);
    expect(harness.fate(bad)).toBe("reset");
    harness.receive(harness.client(GET), complete);
    expect(harness.server.stats.open).toBe(1);
  }));

test("resets the connection whose callback throws for a queued request", () =>
  leavesNoFd(() => {
    const onRequest = ({ target }: { target: string }): void => {
      if (target === "/bad") throw new Error("from the application");
    };
    using harness = new ServerHarness({ onRequest, response: Buffer.alloc(300_000, "x") });
    const bad = harness.client(["/1", "/2", "/bad"].map((target) => GET.replace("/", target)).join(""));
    let thrown = 0;
    for (let i = 0; i < 50; i++) {
      try {
        harness.server.tick(1);
      } catch (error) {
        expect(String(error)).toContain("from the application");
        thrown++;
      }
      if (harness.fate(bad) !== "open") break;
    }
    expect(thrown).toBe(1);
    expect(harness.server.stats.open).toBe(0);
  }));

test("reports the error of a callback for a head timeout once", () =>
  leavesNoFd(() => {
    const onRequest = (): void => {
      throw new Error("from the application");
    };
    using harness = new ServerHarness({ onRequest, headerTimeoutMs: 1000 });
    const late = harness.client(GET.slice(0, 10));
    harness.settle();
    harness.clock.ms += 1000;
    expect(() => harness.server.tick(0)).toThrow("from the application");
    harness.settle();
    expect(harness.fate(late)).toBe("reset");
    expect(harness.server.stats).toMatchObject({ open: 0, rejected: 1 });
  }));

test("does not reset a connection at the write timeout if a last send makes progress, even if as much is queued again", () =>
  leavesNoFd(() => {
    let isBlocked = true;
    let hidesEvents = false;
    const sys = sysWith((host) => ({
      send: (...args) => (isBlocked ? -11 : host.send(...args)), // EAGAIN
      epoll_wait: (...args) => (hidesEvents ? 0 : host.epoll_wait(...args)),
    }));
    using harness = new ServerHarness({ writeTimeoutMs: 1000, response: Buffer.alloc(300_000, "x") }, sys);
    const client = harness.client(GET.repeat(2)); // the second has to wait: the first response is above the high-water mark
    harness.server.tick(1);
    isBlocked = false;
    hidesEvents = true;
    harness.clock.ms += 1000;
    harness.server.tick(0);
    hidesEvents = false;
    harness.receive(client, /x{300000}HTTP[^]*x{300000}$/);
    expect(harness.server.stats).toMatchObject({ timeouts: 0, requests: 2, open: 1 });
  }));

test("ignores the second of two events for one fd if the first closes the connection", () =>
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
      using harness = new ServerHarness({}, sys);
      const client = harness.client();
      harness.settle();
      client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); // the first event closes it
      expect(harness.receive(client, complete)).toContain("200 OK");
      harness.settle();
      expect(harness.server.stats).toMatchObject({ requests: 1, open: 0, errors: 0 });
    }
  }));

test("removes a registration that no connection owns after its first event", () =>
  leavesNoFd(() => {
    let epfd = -1;
    const sys = sysWith((host) => ({
      epoll_create1(flags) {
        epfd = host.epoll_create1(flags);
        return epfd;
      },
    }));
    using harness = new ServerHarness({}, sys);
    using ours = Epoll.fromfd(syscalls().fcntl(epfd, F_DUPFD_CLOEXEC, 0));
    const fd = syscalls().eventfd(1, 0);
    ours.register(fd, EPOLLIN, 77);
    expect([harness.server.tick(0), harness.server.tick(0)]).toEqual([1, 0]);
    syscalls().close(fd);
  }));

test("a duplicate of the fd in another process does not keep the registration alive", () =>
  leavesNoFd(() => {
    let duplicate = -1;
    const sys = sysWith((host) => ({
      accept4(...args) {
        const fd = host.accept4(...args);
        if (fd >= 0) duplicate = host.fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return fd;
      },
    }));
    using harness = new ServerHarness({}, sys);
    const client = harness.client(GET);
    harness.receive(client, complete);
    client.close();
    harness.settle();
    expect(harness.server.stats.open).toBe(0);
    expect(harness.server.tick(0)).toBe(0);
    syscalls().close(duplicate);
  }));

/** Returns the mask of the signals that the process catches, from /proc. */
function caughtSignals(): string | undefined {
  return /SigCgt:\s*(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
}
