// The simulated kernel against the real one: random sequences of calls have the same results, events and bytes.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import {
  AF_INET,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWRNORM,
  F_DUPFD_CLOEXEC,
  IPPROTO_TCP,
  MSG_NOSIGNAL,
  SHUT_RDWR,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../../src/kernel/constants.ts";
import { EAGAIN } from "../../src/kernel/errno.ts";
import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { leavesNoFd } from "../support/fds.ts";
import { scaled } from "../support/scale.ts";
import { SimKernel } from "./kernel.ts";
import { pattern } from "./pattern.ts";
import { SimProcess } from "./process.ts";

setDefaultTimeout(60_000);

const ACTS = [
  ...(["connect", "connect", "accept", "accept", "send", "send", "send", "recv", "recv", "recv", "shutdown"] as const),
  ...(["close", "reset", "dup", "add", "add", "add", "modify", "delete", "error", "wait", "wait", "wait"] as const),
];

interface Step {
  act: (typeof ACTS)[number];
  /** Which of the open fds. */
  at: number;
  mask: number;
  n: number;
}

/** Three words and a sockaddr: 127.0.0.1 with a port. */
function loopback(port: number): Uint8Array {
  const address = new Uint8Array(new ArrayBuffer(132));
  address.set([16, 0, 0, 0, 2, 0, port >> 8, port & 255, 127, 0, 0, 1]);
  return address;
}

const LINGER_0 = new Uint8Array(Int32Array.of(1, 0).buffer);
const ONE = new Uint8Array(Int32Array.of(1).buffer);

/** Makes the calls of the steps on one of the two kernels, and records what they return. */
class Subject {
  readonly sys: Syscalls;
  readonly epfd: number;
  /** The open fds, in the order in which they were opened. Slot 0 is the listening socket. */
  readonly fds: number[] = [];
  readonly #port: number;
  readonly #events = new Int32Array(new ArrayBuffer(64 * 16));
  readonly #bytes = Buffer.from(new ArrayBuffer(4096));
  #sent = 0;
  /** Slots by token, so that events can be compared. */
  #tokens = 0;

  constructor(sys: Syscalls) {
    this.sys = sys;
    this.epfd = sys.epoll_create1(SOCK_CLOEXEC);
    const listener = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sys.setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, ONE, 4);
    sys.bind(listener, loopback(0));
    sys.listen(listener, 64);
    const name = loopback(0);
    sys.getsockname(listener, name);
    this.#port = ((name[6] as number) << 8) | (name[7] as number);
    this.fds.push(listener);
  }

  run({ act, at, mask, n }: Step): unknown {
    const { sys, fds } = this;
    const slot = at % fds.length;
    const fd = fds[slot] as number;
    const isListener = slot === 0;
    switch (act) {
      case "connect":
        return fds.length < 12 ? this.#connect() : "full";
      case "accept":
        return this.#opened(sys.accept4(fd, loopback(0), SOCK_NONBLOCK | SOCK_CLOEXEC));
      case "send": {
        const bytes = pattern(this.#sent++, 0, n);
        return sys.send(fd, bytes.slice(), 0, n, MSG_NOSIGNAL);
      }
      case "recv": {
        const count = sys.recv(fd, this.#bytes, 0, n, 0);
        return count > 0 ? this.#bytes.toString("latin1", 0, count) : count;
      }
      case "shutdown": // of a listener, it would end the listening: the server never does that
        return isListener ? "listener" : sys.shutdown(fd, mask % 2 === 0 ? SHUT_WR : SHUT_RDWR);
      case "close":
      case "reset":
        if (isListener) return "listener";
        if (act === "reset") sys.setsockopt(fd, SOL_SOCKET, SO_LINGER, LINGER_0, LINGER_0.length);
        fds.splice(slot, 1);
        return sys.close(fd);
      case "dup":
        return isListener || fds.length >= 12 ? "full" : this.#opened(sys.fcntl(fd, F_DUPFD_CLOEXEC, 0));
      case "add":
        return sys.epoll_ctl(this.epfd, EPOLL_CTL_ADD, fd, mask | 0, ++this.#tokens);
      case "modify":
        return sys.epoll_ctl(this.epfd, EPOLL_CTL_MOD, fd, mask | 0, ++this.#tokens);
      case "delete":
        return sys.epoll_ctl(this.epfd, EPOLL_CTL_DEL, fd, 0, 0);
      case "error": {
        if (isListener) return "listener";
        const value = new Int32Array(new ArrayBuffer(4));
        return [sys.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, 4), value[0]];
      }
      case "wait":
        return this.wait();
    }
  }

  /** Returns the events by token. */
  wait(): string[] {
    const n = this.sys.epoll_wait(this.epfd, this.#events, 64, 0);
    const events: string[] = [];
    for (let i = 0; i < n; i++) events.push(`${this.#events[3 * i + 2]}: ${this.#events[3 * i]?.toString(16)}`);
    return events.sort();
  }

  #connect(): unknown {
    const fd = this.sys.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); // blocking: the connection exists when it returns
    this.sys.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, ONE, 4);
    const result = this.sys.connect(fd, loopback(this.#port));
    this.sys.fcntl(fd, 4, 0o4000); // F_SETFL, O_NONBLOCK
    this.#opened(fd);
    return result;
  }

  #opened(fd: number): number {
    if (fd >= 0) this.fds.push(fd);
    return Math.min(fd, 0);
  }

  [Symbol.dispose](): void {
    for (const fd of this.fds) this.sys.close(fd);
    this.sys.close(this.epfd);
  }
}

const LEVEL = [EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLONESHOT, EPOLLERR, EPOLLHUP, EPOLLRDNORM, EPOLLWRNORM];
const act = fc.constantFrom(...ACTS);
const at = fc.nat({ max: 11 });
const n = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 1000 }));
const masksOf = (bits: number[]): fc.Arbitrary<number> =>
  fc.subarray(bits).map((set) => set.reduce((mask, bit) => (mask | bit) >>> 0, 0));
const stepsOf = (bits: number[]): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ act, at, mask: masksOf(bits), n }), { minLength: 1, maxLength: 80, size: "max" });

/** Runs the steps on both kernels, and compares each result. Returns how many events there were. */
function compare(steps: Step[]): number {
  const kernel = new SimKernel();
  kernel.isImmediate = true;
  using simulated = new Subject(new SimProcess(kernel).sys);
  using real = new Subject(syscalls());
  const realFds = new Map<number, number>();
  let events = 0;
  for (const step of steps) {
    const expected = real.run(step);
    expect([step, simulated.run(step)]).toEqual([step, expected]);
    if (step.act === "wait") events += (expected as string[]).length;
    // The lowest free number is used: a simulated fd always corresponds to the same real fd.
    for (const [i, fd] of simulated.fds.entries()) {
      if (!realFds.has(fd)) realFds.set(fd, real.fds[i] as number);
      expect(real.fds[i]).toBe(realFds.get(fd) as number);
    }
  }
  return events;
}

test("any sequence of calls has the results, the bytes and the events of the real kernel", () =>
  leavesNoFd(() => {
    let events = 0;
    const property = fc.property(stepsOf(LEVEL), (steps) => {
      events += compare(steps);
    });
    fc.assert(property, { numRuns: scaled(300, 8000) });
    expect(events).toBeGreaterThan(300);
  }));

test("EPOLLEXCLUSIVE and EPOLLET are accepted and refused as by the real kernel", () =>
  leavesNoFd(() => {
    const acts = fc.constantFrom<Step["act"]>("connect", "accept", "add", "modify", "delete", "close");
    const bits = [...LEVEL, EPOLLEXCLUSIVE, EPOLLET];
    const steps = fc.array(fc.record({ act: acts, at, mask: masksOf(bits), n }), { maxLength: 40, size: "max" });
    fc.assert(
      fc.property(steps, (list) => void compare(list)),
      { numRuns: scaled(100, 2000) },
    );
  }));

test("with EPOLLET, data that arrives is reported once", () =>
  leavesNoFd(() => {
    const acts = fc.constantFrom<Step["act"]>("connect", "accept", "send", "recv", "wait", "add", "modify");
    const mask = fc.constantFrom(EPOLLIN | EPOLLET, EPOLLIN, EPOLLIN | EPOLLONESHOT).map((bits) => bits >>> 0);
    const steps = fc.array(fc.record({ act: acts, at, mask, n }), { maxLength: 80, size: "max" });
    fc.assert(
      fc.property(steps, (list) => void compare(list)),
      { numRuns: scaled(100, 2000) },
    );
  }));

/** Sends until the kernel takes no more, receives everything, and records the events in between. */
function fillAndDrain(sys: Syscalls, rounds: number[]): unknown[] {
  using subject = new Subject(sys);
  const seen: unknown[] = [];
  const step = (act: Step["act"], at: number, mask = 0, n = 0): unknown => subject.run({ act, at, mask, n });
  step("connect", 0);
  step("accept", 0);
  const client = subject.fds[1] as number;
  const server = subject.fds[2] as number;
  sys.setsockopt(client, SOL_SOCKET, SO_SNDBUF, new Uint8Array(Int32Array.of(8192).buffer), 4);
  step("add", 1, EPOLLIN | EPOLLOUT);
  step("add", 2, EPOLLIN | EPOLLOUT);
  const bytes = Buffer.alloc(70_000, "x");
  for (const length of rounds) {
    let sent = 0;
    for (let n = 1; n > 0;) {
      n = sys.send(client, bytes, 0, length, MSG_NOSIGNAL);
      if (n > 0) sent += n;
      else seen.push(n === -EAGAIN);
    }
    // The real kernel moves bytes on to the receive queue: some milliseconds later, the send queue may have room again.
    seen.push(subject.wait().filter((event) => event !== "1: 4"));
    let received = 0;
    for (let attempts = 0; received < sent && attempts < 100_000; attempts++) {
      const n = sys.recv(server, bytes, 0, bytes.length, 0);
      if (n > 0) received += n;
      else sys.epoll_wait(subject.epfd, new Int32Array(new ArrayBuffer(64)), 4, 1);
    }
    seen.push(received === sent);
    let events = subject.wait();
    for (let attempts = 0; events.length < 2 && attempts < 10_000; attempts++) {
      Bun.sleepSync(1); // the kernel acknowledges up to 40 ms later
      events = subject.wait();
    }
    seen.push(events);
  }
  return seen;
}

test("a full send queue is writable again after it was drained", () =>
  leavesNoFd(() => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 4 }), (rounds) => {
        const kernel = new SimKernel();
        kernel.isImmediate = true;
        expect(fillAndDrain(new SimProcess(kernel).sys, rounds)).toEqual(fillAndDrain(syscalls(), rounds));
      }),
      { numRuns: scaled(10, 100) },
    );
  }));
