// Ancillary data: passing file descriptors and credentials, and truncation.

import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync, readSync } from "node:fs";
import {
  AF_UNIX,
  CMSG_SPACE,
  MSG_CTRUNC,
  pipe,
  SCM_RIGHTS,
  SO_PASSCRED,
  SOCK_DGRAM,
  Socket,
  socketpair,
  SOL_SOCKET,
} from "../../../src/index.ts";
import { fdFlags, leavesNoFd, openFds } from "../../support/fds.ts";

setDefaultTimeout(60_000);

const MAX_FDS = 253;

test("receives a close-on-exec duplicate of a file descriptor, which the receiver owns", () =>
  leavesNoFd(() => {
    const [a, b] = socketpair();
    const file = openSync(import.meta.path, "r");
    expect(a.sendFds("take it", [file, a])).toBe(7);
    const got = b.recvFds(100, 4);
    expect([Buffer.from(got?.data ?? []).toString(), got?.fds.length, got?.flags]).toEqual(["take it", 2, 0]);
    const [copy = -1, socket = -1] = got?.fds ?? [];
    closeSync(file);
    const text = Buffer.alloc(2);
    readSync(copy, text, 0, 2, 0);
    expect(text.toString()).toBe("//");
    expect(fdFlags(copy) & 0o2000000).toBe(0o2000000);
    closeSync(copy);
    using other = Socket.fromfd(socket);
    other.send("by the copy");
    expect(Buffer.from(b.recv(100) ?? []).toString()).toBe("by the copy");
    a.close();
    b.close();
  }));

test("closes file descriptors that do not fit, and sets MSG_CTRUNC", () =>
  leavesNoFd(() => {
    const [a, b] = socketpair(AF_UNIX, SOCK_DGRAM);
    const [reader, writer] = pipe();
    const fds = [reader, reader, reader, reader, reader];
    const before = openFds().size;
    a.sendFds("x", fds);
    expect(b.recv(10)).toEqual(Buffer.from("x") as Uint8Array);
    a.sendFds("x", fds);
    expect(b.recvmsg(10)).toMatchObject({ ancillary: [], flags: MSG_CTRUNC });
    expect(openFds().size).toBe(before);
    a.sendFds("x", fds);
    const some = b.recvFds(10, 2);
    expect(some?.flags).toBe(MSG_CTRUNC);
    expect(some?.fds.length).toBe(2);
    expect(openFds().size).toBe(before + 2);
    for (const fd of some?.fds ?? []) closeSync(fd);
    for (const end of [a, b, reader, writer]) end.close();
  }));

test("never receives more than maxFds, and rejects file descriptors over TCP", () =>
  leavesNoFd(() => {
    const [a, b] = socketpair(AF_UNIX, SOCK_DGRAM);
    for (const maxFds of [1, 2, 3]) {
      a.sendFds("x", Array<Socket>(4).fill(a));
      const got = b.recvFds(10, maxFds);
      expect([got?.fds.length, got?.flags]).toEqual([maxFds, MSG_CTRUNC]);
      for (const fd of got?.fds ?? []) closeSync(fd);
    }
    a.close();
    b.close();
    using tcp = new Socket();
    expect(() => tcp.sendFds("x", [0])).toThrow("only over unix sockets");
  }));

test(`sends at most ${MAX_FDS} file descriptors, and rejects invalid items`, () =>
  leavesNoFd(() => {
    const [a, b] = socketpair();
    a.sendFds("x", Array<Socket>(MAX_FDS).fill(b));
    const got = b.recvFds(10, MAX_FDS);
    expect(new Set(got?.fds).size).toBe(MAX_FDS);
    for (const fd of got?.fds ?? []) closeSync(fd);
    expect(() => a.sendFds("x", Array<Socket>(MAX_FDS + 1).fill(b))).toThrow(
      "fds has 254 file descriptors; a message carries at most 253: send several messages",
    );
    expect(() => a.sendFds("x", [])).toThrow("fds is empty: omit the item");
    expect(() => a.sendFds("", [b])).toThrow("at least one byte");
    expect(() => a.sendFds("x", [9999])).toThrow("EBADF: bad file descriptor, sendmsg");
    expect(() => a.sendFds("x", [-1])).toThrow(RangeError);
    expect(() => a.sendmsg(["x"], 0 as never)).toThrow(
      "ancillary must be an array, such as [{ fds: [fd] }]; received 0",
    );
    expect(() => a.sendmsg(["x"], [{}] as never)).toThrow("an item of ancillary data must be { fds }, ");
    const to = b.fileno();
    a.close();
    expect(() => a.sendFds("x", [to])).toThrow("Socket.sendFds: this Socket is closed");
    b.close();
  }));

test("receives credentials in messages and with SO_PEERCRED, and cannot send those of another process", () =>
  leavesNoFd(() => {
    const [a, b] = socketpair();
    const me = { pid: process.pid, uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 };
    expect(a.peerCredentials()).toEqual(me);
    b.setsockopt(SOL_SOCKET, SO_PASSCRED, true);
    a.send("implicit");
    expect(b.recvmsg(100, 100)?.ancillary).toEqual([{ credentials: me }]);
    a.sendmsg(["explicit"], [{ credentials: me }]);
    expect(b.recvmsg(100, 100)?.ancillary).toEqual([{ credentials: me }]);
    if (me.uid !== 0) expect(() => a.sendmsg(["x"], [{ credentials: { ...me, uid: 0 } }])).toThrow("EPERM");
    expect(() => a.sendmsg(["x"], [{ credentials: { ...me, pid: 2 ** 22 + 1 } }])).toThrow(/ESRCH|EPERM/);
    a.close();
    b.close();
  }));

test("sends an item by level, type and data, and receives two items in one message", () =>
  leavesNoFd(() => {
    const [a, b] = socketpair();
    b.setsockopt(SOL_SOCKET, SO_PASSCRED, true);
    const data = new Uint8Array(Int32Array.of(a.fileno()).buffer);
    a.sendmsg(["x", "y"], [{ level: SOL_SOCKET, type: SCM_RIGHTS, data }]);
    const { ancillary = [] } = b.recvmsg(10, CMSG_SPACE(4) + CMSG_SPACE(12)) ?? {};
    expect(ancillary.flatMap(Object.keys).toSorted()).toEqual(["credentials", "fds"]);
    for (const item of ancillary) if ("fds" in item) for (const fd of item.fds) closeSync(fd);
    a.close();
    b.close();
  }));
