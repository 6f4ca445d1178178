// MemFd: reading, writing, resizing and sealing an anonymous file.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Epoll, EPOLLIN, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_WRITE, MemFd } from "../../src/index.ts";
import { leavesNoFd, openFds } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("reads and writes at any position, grows and shrinks", () =>
  leavesNoFd(() => {
    using file = new MemFd("a name");
    expect(openFds().get(file.fileno())).toContain("memfd:a name");
    expect([file.write(3, "abc"), file.size]).toEqual([3, 6]);
    expect(Buffer.from(file.read(0, 10)).toString()).toBe("\0\0\0abc");
    file.truncate(4);
    expect([file.size, Buffer.from(file.read(3, 10)).toString()]).toEqual([4, "a"]);
    using other = MemFd.fromfd(file.dup());
    other.write(0, "shared");
    expect(Buffer.from(file.read(0, 10)).toString()).toBe("shared");
  }));

test("seals forbid writing, growing and further seals", () =>
  leavesNoFd(() => {
    using file = new MemFd("sealed");
    expect([file.write(0, "abc"), file.seals]).toEqual([3, 0]);
    file.seal(F_SEAL_WRITE | F_SEAL_GROW);
    expect(file.seals).toBe(F_SEAL_WRITE | F_SEAL_GROW);
    expect(() => file.write(0, "x")).toThrow("EPERM");
    expect(() => file.truncate(10)).toThrow("EPERM");
    file.seal(F_SEAL_SEAL);
    expect(() => file.seal(F_SEAL_GROW)).toThrow("EPERM");
    expect(Buffer.from(file.read(0, 10)).toString()).toBe("abc");
  }));

test("rejects registration with epoll, invalid names, and use after close", () =>
  leavesNoFd(() => {
    using file = new MemFd("ready");
    using epoll = new Epoll();
    expect(() => epoll.register(file, EPOLLIN)).toThrow("are always ready and cannot be watched with epoll");
    expect(() => new MemFd("x".repeat(300))).toThrow("EINVAL");
    expect(() => new MemFd("a\0b")).toThrow(TypeError);
    file.close();
    expect(() => file.size).toThrow("MemFd.size: this MemFd is closed");
  }));
