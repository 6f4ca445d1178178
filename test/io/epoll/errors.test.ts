// The errnos that each call can return, and the shape of the error.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { constants, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { EFD_NONBLOCK, EPOLLIN, EPOLLOUT } from "../../../src/kernel/constants.ts";
import { Epoll } from "../../../src/io/epoll.ts";
import { ErrnoError } from "../../../src/kernel/errors.ts";
import { EventList } from "../../../src/io/event-list.ts";
import type { FdLike } from "../../../src/kernel/fd.ts";
import { syscalls, type Syscalls } from "../../../src/kernel/ffi.ts";
import { OpenFd } from "../../../src/io/owned-fd.ts";
import { runBun } from "../../support/children.ts";
import { Descriptor, duplicate, EventFd, everyFdIsClosed, interestOf } from "../../support/descriptors.ts";
import { errnoError, failure } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const NOT_OPEN = 0x3fffffff; // above every limit on open files
const open = (path: string, flags = constants.O_RDONLY): Descriptor => new Descriptor(openSync(path, flags));

const calls: [name: string, call: (epoll: Epoll, fd: FdLike) => void][] = [
  ["register", (epoll, fd) => epoll.register(fd, EPOLLIN)],
  ["modify", (epoll, fd) => epoll.modify(fd, EPOLLIN)],
  ["unregister", (epoll, fd) => epoll.unregister(fd)],
];

describe.each(calls)("%s", (name, call) => {
  test("fails with EBADF for an fd that is not open", () => {
    using epoll = new Epoll();
    expect(failure(() => call(epoll, NOT_OPEN))).toEqual(["EBADF", "epoll_ctl"]);
    expect(failure(() => call(epoll, 0x7fffffff))).toEqual(["EBADF", "epoll_ctl"]);
  });

  test("fails with EPERM for a regular file", () => {
    using epoll = new Epoll();
    using file = open(import.meta.path);
    expect(failure(() => call(epoll, file))).toEqual(["EPERM", "epoll_ctl"]);
  });

  test("fails with EPERM for a directory", () => {
    using epoll = new Epoll();
    using directory = open(tmpdir(), constants.O_RDONLY | constants.O_DIRECTORY);
    expect(failure(() => call(epoll, directory))).toEqual(["EPERM", "epoll_ctl"]);
  });

  test("fails with EPERM for a device without poll support", () => {
    using epoll = new Epoll();
    using device = open("/dev/null");
    expect(failure(() => call(epoll, device))).toEqual(["EPERM", "epoll_ctl"]);
  });

  test("fails with EINVAL for the epoll instance itself or a duplicate of it", () => {
    using epoll = new Epoll();
    using other = duplicate(epoll);
    expect(failure(() => call(epoll, epoll))).toEqual(["EINVAL", "epoll_ctl"]);
    expect(failure(() => call(epoll, epoll.fileno()))).toEqual(["EINVAL", "epoll_ctl"]);
    expect(failure(() => call(epoll, other))).toEqual(["EINVAL", "epoll_ctl"]);
  });

  test("fails with EINVAL if the fd is not an epoll instance", () => {
    using epoll = new Epoll(new OpenFd(syscalls().eventfd(0, EFD_NONBLOCK)));
    using eventfd = new EventFd();
    expect(failure(() => call(epoll, eventfd))).toEqual(["EINVAL", "epoll_ctl"]);
  });

  test("fails with EBADF if the epoll fd is not open", () => {
    const epoll = new Epoll(new OpenFd(NOT_OPEN));
    using eventfd = new EventFd();
    expect(failure(() => call(epoll, eventfd))).toEqual(["EBADF", "epoll_ctl"]);
  });

  if (name !== "register") {
    test("fails with ENOENT for an fd that was never registered", () => {
      using epoll = new Epoll();
      using eventfd = new EventFd();
      expect(failure(() => call(epoll, eventfd))).toEqual(["ENOENT", "epoll_ctl"]);
    });

    test("fails with ENOENT for an unregistered fd", () => {
      using epoll = new Epoll();
      using eventfd = new EventFd();
      epoll.register(eventfd, EPOLLIN);
      epoll.unregister(eventfd);
      expect(failure(() => call(epoll, eventfd))).toEqual(["ENOENT", "epoll_ctl"]);
    });

    test("fails with ENOENT for an fd that is registered with another instance", () => {
      using epoll = new Epoll();
      using other = new Epoll();
      using eventfd = new EventFd();
      other.register(eventfd, EPOLLIN);
      expect(failure(() => call(epoll, eventfd))).toEqual(["ENOENT", "epoll_ctl"]);
    });
  }

  test("fails with EBADF for a closed fd", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd();
    using high = duplicate(eventfd, 500); // an fd that is not reused in the meantime
    const number = high.fileno();
    epoll.register(high, EPOLLIN);
    high.close();
    expect(failure(() => call(epoll, number))).toEqual(["EBADF", "epoll_ctl"]);
  });
});

describe("register", () => {
  test("fails with EEXIST for a registered fd, whatever the mask", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd();
    epoll.register(eventfd, EPOLLIN);
    for (const mask of [EPOLLIN, EPOLLOUT, 0]) {
      expect(failure(() => epoll.register(eventfd, mask))).toEqual(["EEXIST", "epoll_ctl"]);
    }
    expect(interestOf(epoll)).toHaveLength(1);
  });

  test("registers a duplicate separately", () => {
    using epoll = new Epoll();
    using eventfd = new EventFd();
    using other = duplicate(eventfd);
    epoll.register(eventfd, EPOLLIN);
    epoll.register(other, EPOLLIN);
    expect(interestOf(epoll)).toHaveLength(2);
  });
});

describe.each([
  ["poll", (epoll: Epoll): unknown => epoll.poll(0)],
  ["pollInto", (epoll: Epoll): unknown => epoll.pollInto(new EventList(1), 0)],
])("%s", (_, call) => {
  test("fails with EINVAL if the fd is not an epoll instance", () => {
    using epoll = new Epoll(new OpenFd(syscalls().eventfd(0, EFD_NONBLOCK)));
    expect(errnoError(() => call(epoll))).toMatchObject({
      code: "EINVAL",
      syscall: "epoll_wait",
      fd: epoll.fileno(),
      message: "EINVAL: invalid argument, epoll_wait",
    });
  });

  test("fails with EBADF if the fd is not open", () => {
    const epoll = new Epoll(new OpenFd(NOT_OPEN));
    expect(errnoError(() => call(epoll))).toMatchObject({
      code: "EBADF",
      syscall: "epoll_wait",
      fd: NOT_OPEN,
      message: "EBADF: bad file descriptor, epoll_wait",
    });
  });
});

test("new Epoll fails with EMFILE at the fd limit", async () => {
  const { output, stderr } = await runBun(
    `import { Epoll } from "./src/io/epoll.ts";
     const epolls = [new Epoll()]; // compiles the C code while fds are available
     try { for (;;) epolls.push(new Epoll()); }
     catch ({ name, code, errno, syscall, message }) {
       console.log(JSON.stringify({ name, code, errno, syscall, message, some: epolls.length > 10 }));
     }`,
    { maxFds: 64 },
  );
  expect(stderr).toBe("");
  expect(output).toEqual({
    name: "ErrnoError",
    code: "EMFILE",
    errno: -24,
    syscall: "epoll_create1",
    message: "EMFILE: too many open files, epoll_create1",
    some: true,
  });
});

test.each([import.meta.path, "/dev/null"])("EPERM explains that %s cannot be watched", (path) => {
  using epoll = new Epoll();
  using file = open(path);
  expect(errnoError(() => epoll.register(file)).message).toBe(
    "EPERM: operation not permitted, epoll_ctl: " +
      "regular files, directories and devices such as /dev/null are always ready and cannot be watched with epoll",
  );
});

test("errors have Node's fields and message shape", () => {
  using epoll = new Epoll();
  using eventfd = new EventFd();
  const error = errnoError(() => epoll.unregister(eventfd));
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(ErrnoError);
  expect(error.stack).toContain("errors.test.ts");
  expect({ ...error, message: error.message }).toEqual({
    name: "ErrnoError",
    code: "ENOENT",
    errno: -2,
    syscall: "epoll_ctl",
    fd: eventfd.fileno(),
    message: "ENOENT: no such file or directory, epoll_ctl",
  });
});

// Replaces a system call, because these errors cannot be provoked without affecting the machine.
describe("errors that the kernel reports", () => {
  function failing(name: keyof Syscalls, errno: number): Syscalls {
    return { ...syscalls(), [name]: () => -errno };
  }

  test.each([
    ["ENFILE", 23],
    ["ENOMEM", 12],
  ])("new Epoll throws %s", (code, errno) => {
    expect(failure(() => new Epoll(undefined, failing("epoll_create1", errno)))).toEqual([code, "epoll_create1"]);
  });

  test.each([
    ["ENOSPC", 28],
    ["ENOMEM", 12],
  ])("register throws %s", (code, errno) => {
    using epoll = new Epoll(undefined, failing("epoll_ctl", errno));
    using eventfd = new EventFd();
    expect(failure(() => epoll.register(eventfd))).toEqual([code, "epoll_ctl"]);
  });
});
