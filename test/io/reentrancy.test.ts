// Arguments whose getters or fileno() close the object and reuse its number: the call fails, and the new fd is not touched.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_UNIX,
  ClosedError,
  Descriptor,
  Epoll,
  EPOLLIN,
  EventFd,
  Inotify,
  MemFd,
  pipe,
  SOCK_DGRAM,
  Socket,
  socketpair,
  TimerFd,
} from "../../src/index.ts";
import { type Syscalls, wrapSyscalls } from "../../src/kernel/ffi.ts";
import type { OwnedFd } from "../../src/io/owned-fd.ts";
import { leavesNoFd } from "../support/fds.ts";

setDefaultTimeout(60_000);

/** The names of the system calls since the object was closed. Those that take no fd are not recorded. */
let calls: string[] | undefined;
const WITHOUT_FD = new Set<string>(["inet_pton", "inet_ntop", "equal"] satisfies (keyof Syscalls)[]);

const recorded = (sys: Syscalls): Syscalls =>
  Object.fromEntries(
    Object.entries(sys).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        if (!WITHOUT_FD.has(name)) calls?.push(name);
        return (call as (...all: unknown[]) => number)(...args);
      },
    ]),
  ) as unknown as Syscalls;

afterEach(() => {
  calls = undefined;
  wrapSyscalls((sys) => sys);
});

/** A Uint8Array whose every property runs code. */
function trapped(closeTarget: () => void): Uint8Array {
  class Trapped extends Uint8Array {}
  for (const name of ["length", "byteLength", "byteOffset", "buffer", "0", "constructor", Symbol.toStringTag]) {
    Object.defineProperty(Trapped.prototype, name, {
      get(this: Uint8Array) {
        closeTarget();
        return Reflect.get(Uint8Array.prototype, name, this) as unknown;
      },
    });
  }
  return Uint8Array.prototype.fill.call(new Trapped(4), 120);
}

/** Creates an object whose property `name` is a getter with a side effect. */
function withGetter<T>(object: object, name: string, value: unknown, closeTarget: () => void): T {
  return Object.defineProperty({ ...object }, name, {
    enumerable: true,
    get() {
      closeTarget();
      return value;
    },
  }) as T;
}

interface Case<T extends OwnedFd> {
  create: () => T;
  call: (target: T, closeTarget: () => void) => unknown;
}

function named<T extends OwnedFd>(name: string, create: () => T, call: Case<T>["call"]): [string, Case<OwnedFd>] {
  return [name, { create, call } as unknown as Case<OwnedFd>];
}

let counter: EventFd;
const fileno = (closeTarget: () => void): { fileno(): number } => ({
  fileno() {
    closeTarget();
    return counter.fileno();
  },
});
const epoll = (): Epoll => new Epoll();
const udp = (): Socket => new Socket(AF_INET, SOCK_DGRAM);
const unix = (): Socket => {
  const [one, other] = socketpair(AF_UNIX, SOCK_DGRAM);
  other.close();
  return one;
};
const here = { address: "127.0.0.1", port: 9 };

const cases = [
  named("Epoll.register(fd)", epoll, (target, closeTarget) => target.register(fileno(closeTarget), EPOLLIN)),
  named("Epoll.modify(fd)", epoll, (target, closeTarget) => target.modify(fileno(closeTarget), EPOLLIN)),
  named("Epoll.unregister(fd)", epoll, (target, closeTarget) => target.unregister(fileno(closeTarget))),
  ...(["address", "port"] as const).flatMap((key) => [
    named(`Socket.bind({ ${key} })`, udp, (target, closeTarget) =>
      target.bind(withGetter({ address: "127.0.0.1", port: 0 }, key, key === "port" ? 0 : "127.0.0.1", closeTarget)),
    ),
    named(`Socket.connect({ ${key} })`, udp, (target, closeTarget) =>
      target.connect(withGetter(here, key, here[key], closeTarget)),
    ),
    named(`Socket.sendto({ ${key} })`, udp, (target, closeTarget) =>
      target.sendto("x", withGetter(here, key, here[key], closeTarget)),
    ),
    named(`Socket.sendmsg({ ${key} })`, udp, (target, closeTarget) =>
      target.sendmsg(["x"], [], 0, withGetter(here, key, here[key], closeTarget)),
    ),
  ]),
  named("Socket.bind({ path })", unix, (target, closeTarget) =>
    target.bind(withGetter({}, "path", "\0none", closeTarget)),
  ),
  named("Socket.sendmsg: a buffer", unix, (target, closeTarget) =>
    target.sendmsg(withGetterAt(["x"], "x", closeTarget)),
  ),
  named("Socket.sendmsg: an item", unix, (target, closeTarget) =>
    target.sendmsg(["x"], withGetterAt([{ fds: [0] }], { fds: [0] }, closeTarget)),
  ),
  named("Socket.sendmsg: fds", unix, (target, closeTarget) => target.sendmsg(["x"], [{ fds: [fileno(closeTarget)] }])),
  named("Socket.sendmsg: data", unix, (target, closeTarget) =>
    target.sendmsg(["x"], [withGetter({ level: 1, type: 1 }, "data", new Uint8Array(4), closeTarget)]),
  ),
  named("Socket.sendFds(fds)", unix, (target, closeTarget) => target.sendFds("x", [fileno(closeTarget)])),
  named("Socket.send(bytes)", unix, (target, closeTarget) => target.send(trapped(closeTarget))),
  named("Socket.sendto(bytes)", udp, (target, closeTarget) => target.sendto(trapped(closeTarget), here)),
  named("Socket.sendmsg(bytes)", unix, (target, closeTarget) => target.sendmsg([trapped(closeTarget)])),
  named("Socket.recvInto(bytes)", unix, (target, closeTarget) => target.recvInto(trapped(closeTarget))),
  named("Socket.setsockopt(bytes)", unix, (target, closeTarget) => target.setsockopt(1, 9, trapped(closeTarget))),
  named(
    "TimerFd.set({ value })",
    () => new TimerFd(),
    (target, closeTarget) => target.set(withGetter({}, "value", 1_000_000_000, closeTarget)),
  ),
  named(
    "TimerFd.set({ isAbsolute })",
    () => new TimerFd(),
    (target, closeTarget) => target.set(withGetter({ value: 1_000_000_000 }, "isAbsolute", false, closeTarget)),
  ),
  named(
    "Inotify.read({ encoding })",
    () => new Inotify(),
    (target, closeTarget) => target.read(withGetter({}, "encoding", "utf8", closeTarget)),
  ),
  named(
    "Inotify.add(bytes)",
    () => new Inotify(),
    (target, closeTarget) => target.add(trapped(closeTarget), 1),
  ),
  named(
    "MemFd.write(bytes)",
    () => new MemFd("x"),
    (target, closeTarget) => target.write(0, trapped(closeTarget)),
  ),
  named("Descriptor.write(bytes)", writer, (target, closeTarget) => target.write(trapped(closeTarget))),
  named("Descriptor.readInto(bytes)", writer, (target, closeTarget) => target.readInto(trapped(closeTarget))),
];

function withGetterAt<T>(items: T[], value: T, closeTarget: () => void): T[] {
  return Object.defineProperty([...items], 0, {
    enumerable: true,
    get() {
      closeTarget();
      return value;
    },
  });
}

function writer(): Descriptor {
  const [reader, end] = pipe();
  reader.close();
  return end;
}

describe.each(cases)("%s", (_, { create, call }) => {
  test("reads its arguments first, and then finds out that the object is closed", () =>
    leavesNoFd(() => {
      wrapSyscalls(recorded);
      counter = new EventFd();
      const target = create();
      const fd = target.fileno();
      let other: OwnedFd | undefined;
      const closeTarget = (): void => {
        if (other !== undefined) return;
        target.close();
        other = create();
        calls = [];
      };
      let error: unknown;
      try {
        call(target, closeTarget);
      } catch (thrown) {
        error = thrown;
      }
      if (other === undefined) {
        // The engine reads a typed array without running its getters, so the object stayed open.
        expect(error instanceof ClosedError).toBe(false);
        target.close();
      } else {
        expect(other.fileno()).toBe(fd); // the number was reused: this is the situation to survive
        expect(error).toBeInstanceOf(ClosedError);
        expect(calls).toEqual([]);
        other.close();
      }
      counter.close();
    }));
});

test("an object that the listener of a trace closes during EINTR is not called again", () =>
  leavesNoFd(() => {
    let attempts = 0;
    let socket: Socket | undefined;
    wrapSyscalls((sys) => ({
      ...sys,
      recv() {
        attempts++;
        socket?.close();
        return -4; // EINTR
      },
    }));
    const [one, other] = socketpair();
    socket = one;
    expect(() => one.recv(1)).toThrow(new ClosedError("Socket.recv"));
    expect(attempts).toBe(1);
    other.close();
  }));
