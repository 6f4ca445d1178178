// Checks the names and messages of errnos against Node, and against Python if it is installed.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import * as errno from "../../../src/kernel/errno.ts";
import { errnoMessage, errnoName } from "../../../src/kernel/errno.ts";

setDefaultTimeout(60_000);

/** Errors of sockets, epoll and eventfd, from the manual pages. */
const possible =
  `E2BIG EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET
  EDESTADDRREQ EDOM EEXIST EFAULT EHOSTDOWN EHOSTUNREACH EINPROGRESS EINTR EINVAL EIO EISCONN EISDIR ELOOP EMFILE
  EMSGSIZE ENAMETOOLONG ENETDOWN ENETRESET ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT ENOMEM ENONET ENOPROTOOPT ENOSPC
  ENOTCONN ENOTDIR ENOTSOCK ENXIO EOPNOTSUPP EPERM EPIPE EPROTO EPROTONOSUPPORT EPROTOTYPE EROFS ESHUTDOWN
  ESOCKTNOSUPPORT ETIMEDOUT ETOOMANYREFS`.split(/\s+/);

const numbers = Array.from({ length: 133 }, (_, i) => i + 1);

test("all errnos of sockets have a name", () => {
  const known = new Set(numbers.map(errnoName));
  expect(possible.filter((name) => !known.has(name))).toEqual([]);
});

test("all errnos of sockets have a message", () => {
  const withoutMessage = numbers.filter((n) => possible.includes(errnoName(n)) && errnoMessage(n) === "unknown error");
  expect(withoutMessage.map(errnoName)).toEqual([]);
});

test("the messages are libuv's, as in Node", () => {
  for (const [number, [name, sentence]] of getSystemErrorMap()) {
    if (number < -133) continue; // errors of libuv itself
    expect([errnoName(-number), errnoMessage(-number)]).toEqual([name === "ENOTSUP" ? "EOPNOTSUPP" : name, sentence]);
  }
});

test("the more common name is used if a number has two", () => {
  expect(errnoName(11)).toBe("EAGAIN");
  expect(errnoName(95)).toBe("EOPNOTSUPP");
});

test("a number without a name is E followed by the number", () => {
  expect(errnoName(999)).toBe("E999");
  expect(errnoMessage(999)).toBe("unknown error");
});

test("the exported numbers match node:os", () => {
  const exported = Object.entries(errno).filter(([name, value]) => /^E[A-Z]+$/.test(name) && typeof value === "number");
  expect(exported.length).toBeGreaterThan(10);
  for (const [name, value] of exported) {
    expect([name, value]).toEqual([name, constants.errno[name as keyof typeof constants.errno]]);
  }
});

const python = Bun.which("python3");

describe.skipIf(python === null)("compared with Python's errno module", () => {
  test("all names are equal", () => {
    const script = "import errno, json; print(json.dumps(dict((v, n) for n, v in errno.errorcode.items())))";
    const { stdout } = Bun.spawnSync([python ?? "", "-c", script]);
    const theirs = JSON.parse(stdout.toString()) as Record<string, number>;
    for (const name of possible) {
      // Python has two names for EOPNOTSUPP's number, and uses ENOTSUP.
      expect([name, errnoName(theirs[name] ?? theirs["ENOTSUP"] ?? 0)]).toEqual([name, name]);
    }
  });
});

test("every errno with a name has a message", () => {
  const named = numbers.filter((n) => errnoName(n) !== `E${n}`);
  expect(named.filter((n) => errnoMessage(n) === "unknown error").map(errnoName)).toEqual([]);
});
