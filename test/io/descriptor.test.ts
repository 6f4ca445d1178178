// Descriptor and pipe(): non-blocking reads and writes of any file descriptor.

import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, constants, openSync } from "node:fs";
import { Descriptor, Epoll, EPOLLHUP, EPOLLIN, EPOLLOUT, pipe, socketpair, WOULD_BLOCK } from "../../src/index.ts";
import { leavesNoFd, openFds } from "../support/fds.ts";

setDefaultTimeout(60_000);

test("a pipe transfers bytes, and reports end of stream after its write end is closed", () =>
  leavesNoFd(() => {
    const [reader, writer] = pipe();
    using epoll = new Epoll();
    epoll.register(reader, EPOLLIN);
    expect([reader.read(10), reader.readInto(new Uint8Array(4))]).toEqual([null, WOULD_BLOCK]);
    expect(epoll.poll(0)).toEqual([]);
    expect(writer.write("hello")).toBe(5);
    expect(epoll.poll(1000)).toEqual([[reader.fileno(), EPOLLIN]]);
    expect(Buffer.from(reader.read(3) ?? []).toString()).toBe("hel");
    const rest = new Uint8Array(8);
    expect([reader.readInto(rest), Buffer.from(rest.subarray(0, 2)).toString()]).toEqual([2, "lo"]);
    writer.close();
    expect(epoll.poll(1000)).toEqual([[reader.fileno(), EPOLLHUP]]);
    expect(reader.read(10)).toEqual(new Uint8Array(0));
    reader.close();
  }));

test("write returns WOULD_BLOCK while the pipe is full, and throws EPIPE after its read end is closed", () =>
  leavesNoFd(() => {
    const [reader, writer] = pipe();
    using epoll = new Epoll();
    const chunk = new Uint8Array(65_536);
    let written = 0;
    for (let n; (n = writer.write(chunk)) !== WOULD_BLOCK;) written += n;
    expect(written).toBeGreaterThan(0);
    epoll.register(writer, EPOLLOUT);
    expect(epoll.poll(0)).toEqual([]);
    while (reader.read(65_536) !== null);
    expect(epoll.poll(1000)).toEqual([[writer.fileno(), EPOLLOUT]]);
    reader.close();
    expect(() => writer.write("a")).toThrow("EPIPE: broken pipe, write");
    expect(() => reader.read(1)).toThrow("Descriptor.read: this Descriptor is closed");
    writer.close();
  }));

test("fromfd takes ownership and makes the fd non-blocking", () =>
  leavesNoFd(() => {
    const fd = openSync("/dev/ptmx", constants.O_RDWR | constants.O_NOCTTY);
    const terminal = Descriptor.fromfd(fd);
    expect(terminal.fileno()).toBe(fd);
    expect(terminal.read(10)).toBeNull(); // it would block
    const copy = terminal.dup();
    expect(copy).not.toBe(fd);
    expect(openFds().get(copy)).toBe(openFds().get(fd) as string);
    closeSync(copy);
    const given = terminal.detach();
    expect([given, terminal.closed]).toEqual([fd, true]);
    closeSync(given);
    expect(() => Descriptor.fromfd(fd)).toThrow("EBADF");
    expect(() => Descriptor.fromfd(-1)).toThrow(RangeError);
    expect(() => Descriptor.fromfd("3" as never)).toThrow(TypeError);
  }));

test("rejects the wrong direction, invalid sizes and invalid buffers", () =>
  leavesNoFd(() => {
    const [reader, writer] = pipe();
    expect(() => reader.write("a")).toThrow("EBADF: bad file descriptor, write");
    expect(() => writer.read(1)).toThrow("EBADF: bad file descriptor, read");
    expect(() => reader.read(-1)).toThrow(RangeError);
    expect(() => reader.readInto([] as never)).toThrow(TypeError);
    expect(() => writer.write(1 as never)).toThrow(TypeError);
    for (const end of [reader, writer, reader, writer]) end.close();
  }));

test("printing or enumerating an object that owns an fd does not show the table of system calls", () =>
  leavesNoFd(() => {
    const [reader, writer] = pipe();
    const sockets = socketpair();
    using epoll = new Epoll();
    for (const owner of [reader, writer, ...sockets, epoll]) expect(Bun.inspect(owner)).not.toContain("epoll_ctl");
    expect([Object.keys(reader), Object.keys(sockets[0]), Object.keys(epoll)]).toEqual([[], ["family", "type"], []]);
    for (const owner of [reader, writer, ...sockets]) owner.close();
  }));
