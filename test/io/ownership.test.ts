// Ownership of file descriptors: no class takes over a number by mistake, or an fd of another kind.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AF_INET,
  CLOCK_MONOTONIC,
  ClosedError,
  Descriptor,
  Epoll,
  EventFd,
  F_SETFD,
  F_SETFL,
  Inotify,
  MemFd,
  O_CLOEXEC,
  O_NONBLOCK,
  PidFd,
  Signals,
  SOCK_STREAM,
  Socket,
  TimerFd,
} from "../../src/index.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import type { OwnedFd } from "../../src/io/owned-fd.ts";
import { fdFlags, leavesNoFd, openFds } from "../support/fds.ts";

setDefaultTimeout(60_000);

// oxlint-disable-next-line typescript/no-explicit-any -- the tests pass arguments that the types hide
type Any = any;

const sys = syscalls();

interface Kind {
  /** Opens an fd of this kind, which the caller owns. */
  open: () => number;
  fromfd?: (fd: number) => OwnedFd;
  /** The error of `fromfd` for another kind. */
  rejection?: (fd: number, what: string) => string;
}

const isNot =
  (kind: string) =>
  (fd: number, what: string): string =>
    `fd ${fd} is not ${kind}: it is ${what}`;

const kinds: Record<string, Kind> = {
  Epoll: { open: () => new Epoll().detach(), fromfd: (fd) => Epoll.fromfd(fd), rejection: isNot("an epoll instance") },
  EventFd: { open: () => new EventFd().detach(), fromfd: (fd) => EventFd.fromfd(fd), rejection: isNot("an eventfd") },
  TimerFd: { open: () => new TimerFd().detach(), fromfd: (fd) => TimerFd.fromfd(fd), rejection: isNot("a timerfd") },
  Inotify: {
    open: () => new Inotify().detach(),
    fromfd: (fd) => Inotify.fromfd(fd),
    rejection: isNot("an inotify instance"),
  },
  PidFd: { open: () => new PidFd(process.pid).detach(), fromfd: (fd) => PidFd.fromfd(fd), rejection: isNot("a pidfd") },
  MemFd: { open: () => new MemFd("kind").detach(), fromfd: (fd) => MemFd.fromfd(fd), rejection: isNot("a memfd") },
  Socket: {
    open: () => new Socket().detach(),
    fromfd: (fd) => Socket.fromfd(fd),
    rejection: () => "ENOTSOCK: socket operation on non-socket, getsockopt",
  },
  "a pipe": {
    open: () => {
      const fds = new Int32Array(2);
      sys.pipe2(fds, O_CLOEXEC);
      sys.close(fds[1] as number);
      return fds[0] as number;
    },
  },
  "a file": { open: () => openSync(import.meta.path, "r") },
  "a file named like a memfd": {
    open: () => {
      const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
      const fd = openSync(join(folder, "memfd:x"), "w+");
      rmSync(folder, { recursive: true });
      return fd;
    },
  },
  "a terminal": { open: () => openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY) },
};

const classes = Object.entries(kinds).filter(([, { fromfd }]) => fromfd !== undefined);

describe.each(classes)("%s.fromfd", (name, { open, fromfd, rejection }) => {
  const adopt = fromfd as (fd: number) => OwnedFd;

  test("takes over its own kind, and makes it close-on-exec and non-blocking", () =>
    leavesNoFd(() => {
      const fd = open();
      sys.fcntl(fd, F_SETFD, 0);
      if (name !== "MemFd") sys.fcntl(fd, F_SETFL, 0);
      using owner = adopt(fd);
      expect(owner.fileno()).toBe(fd);
      // Whether an epoll instance is non-blocking has no meaning: its timeout says whether a wait blocks.
      const flags = name === "Epoll" ? O_CLOEXEC : O_CLOEXEC | O_NONBLOCK;
      expect(fdFlags(fd) & flags).toBe(flags);
    }));

  test.each(Object.entries(kinds).filter(([other]) => other !== name))(
    "refuses %s, and leaves it open and unchanged",
    (_, other) =>
      leavesNoFd(() => {
        const fd = other.open();
        const what = openFds().get(fd) as string;
        const flags = fdFlags(fd);
        expect(() => adopt(fd)).toThrow(rejection?.(fd, what));
        expect([openFds().get(fd), fdFlags(fd)]).toEqual([what, flags]);
        sys.close(fd);
      }),
  );

  test("fails with EBADF for an fd that is not open", () => {
    expect(() => adopt(0x3fffffff)).toThrow("EBADF: bad file descriptor");
  });
});

const constructors: [name: string, construct: (fd: Any) => unknown, argument: string][] = [
  ["new Epoll(fd)", (fd) => new (Epoll as Any)(fd), "options"],
  ["new Socket(family, type, protocol, fd)", (fd) => new (Socket as Any)(AF_INET, SOCK_STREAM, 0, fd), "the fourth"],
  ["new EventFd(initial, options, fd)", (fd) => new (EventFd as Any)(0, {}, fd), "the third"],
  ["new TimerFd(clock, fd)", (fd) => new (TimerFd as Any)(CLOCK_MONOTONIC, fd), "the second"],
  ["new PidFd(pid, fd)", (fd) => new (PidFd as Any)(process.pid, fd), "the second"],
  ["new MemFd(name, fd)", (fd) => new (MemFd as Any)("name", fd), "the second"],
  ["new Inotify(fd)", (fd) => new (Inotify as Any)(fd), "the first"],
  ["new Descriptor(fd)", (fd) => new (Descriptor as Any)(fd), "the first"],
];

test.each(constructors)("%s is refused, and the fd stays open", (_, construct, argument) =>
  leavesNoFd(() => {
    using owner = new EventFd();
    const fd = owner.fileno();
    for (const value of [fd, null, "x", true, { fd: "x" }, { fileno: () => fd }]) {
      if (argument === "options" && Object(value) === value) continue;
      expect(() => construct(value)).toThrow(TypeError);
      expect(() => construct(value)).toThrow(new RegExp(`^${argument} .*must be .*fromfd`));
    }
    expect(openFds().get(fd)).toBe("anon_inode:[eventfd]");
  }),
);

test.each([
  ["Epoll", () => new Epoll()],
  ["Socket", () => new Socket()],
  ["EventFd", () => new EventFd()],
  ["TimerFd", () => new TimerFd()],
  ["PidFd", () => new PidFd(process.pid)],
  ["MemFd", () => new MemFd("x")],
  ["Inotify", () => new Inotify()],
  ["Signals", () => new Signals(["SIGUSR1"])],
  ["Descriptor", () => Descriptor.fromfd(openSync("/dev/null", "r"))],
])(
  "%s.fileno() throws a ClosedError after close, instead of returning a number that may be another's",
  (name, open) => {
    const owner: { fileno(): number; close(): void; closed: boolean } = open();
    owner.close();
    using epoll = new Epoll();
    expect(() => owner.fileno()).toThrow(new ClosedError(`${name}.fileno`));
    expect(() => epoll.register(owner)).toThrow(ClosedError);
    expect(owner.closed).toBe(true);
  },
);
