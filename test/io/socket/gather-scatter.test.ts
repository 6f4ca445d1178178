// Messages of several buffers: sendmsg gathers them without a copy, recvmsgInto fills them in order.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  AF_INET,
  AF_UNIX,
  CMSG_SPACE,
  MSG_CTRUNC,
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_DGRAM,
  Socket,
  socketpair,
} from "../../../src/index.ts";
import { OpenFd } from "../../../src/io/owned-fd.ts";
import { syscalls, type Syscalls } from "../../../src/kernel/ffi.ts";
import { closeSync } from "node:fs";
import { eventually, everySocketIsClosed, Pair, Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everySocketIsClosed();

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const zeros = (length: number): Uint8Array => new Uint8Array(length);

describe("sendmsg", () => {
  test("passes the buffers themselves to the kernel, and keeps them alive during the call", () => {
    const calls: unknown[][] = [];
    const host = syscalls();
    const sys: Syscalls = {
      ...host,
      sendmsg(...call) {
        calls.push([call[2], ...call[7]]);
        Bun.gc(true);
        return host.sendmsg(...call);
      },
    };
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    const client = new Socket(AF_UNIX, SOCK_DGRAM, 0, new OpenFd(pair.client.detach()), sys);
    const buffers = [new Uint8Array([1, 2]), Buffer.from("three"), new Uint8Array(0)];
    expect(client.sendmsg(buffers)).toBe(7);
    expect(calls).toEqual([[3, ...buffers]]);
    expect(calls[0]?.slice(1).every((buffer, i) => buffer === buffers[i])).toBe(true);
    expect(pair.server.recv(10)).toEqual(Uint8Array.of(1, 2, ...Buffer.from("three")));
    client.close();
  });

  test("takes the address of a buffer again before an interrupted call is repeated", () => {
    const host = syscalls();
    let calls = 0;
    const sys: Syscalls = {
      ...host,
      sendmsg(...call) {
        if (calls++ > 0) return host.sendmsg(...call);
        const [small] = call[7] as Uint8Array[];
        void small?.buffer; // moves the bytes, as a trace does
        small?.fill(9);
        return -4; // EINTR
      },
    };
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    using client = new Socket(AF_UNIX, SOCK_DGRAM, 0, new OpenFd(pair.client.detach()), sys);
    expect(client.sendmsg([new Uint8Array(4), "x"])).toBe(5);
    expect(pair.server.recv(10)).toEqual(Uint8Array.of(9, 9, 9, 9, 0x78));
  });

  test("sends 1024 small buffers in order, thousands of times", () => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    const received = zeros(3 * 1024);
    for (let round = 0; round < 300; round++) {
      // New small arrays, views, and strings: their memory may be anywhere.
      const buffers = Array.from({ length: 1024 }, (_, i) => {
        const value = (round + i) % 251;
        return i % 3 === 0
          ? String.fromCharCode(value % 128)
          : i % 3 === 1
            ? Uint8Array.of(value, value)
            : new Uint8Array([0, value, value, value, 0]).subarray(1, 4);
      });
      const expected = Buffer.concat(buffers.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
      expect(pair.client.sendmsg(buffers)).toBe(expected.length);
      expect(pair.server.recvInto(received)).toBe(expected.length);
      if (!expected.equals(received.subarray(0, expected.length))) expect(received).toEqual(Uint8Array.from(expected));
    }
  });

  test("sends part of the buffers of a stream if the send queue fills up", () => {
    using pair = new Pair(...socketpair());
    const block = zeros(100_000).fill(7);
    const sent = pair.client.sendmsg(Array<Uint8Array>(100).fill(block));
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(10_000_000);
    let received = 0;
    for (let data; (data = pair.server.recv(65_536)) !== null;) received += data.length;
    expect(received).toBe(sent);
  });

  test("measures the buffers after all arguments have been read: a getter cannot make the kernel read freed memory", () => {
    using place = new Place("AF_INET");
    using receiver = place.bound(SOCK_DGRAM);
    using socket = new Socket(AF_INET, SOCK_DGRAM);
    const memory = new ArrayBuffer(8, { maxByteLength: 8 });
    const address = {
      ...(receiver.getsockname() as { address: string; port: number }),
      get address() {
        memory.resize(2);
        return "127.0.0.1";
      },
    };
    expect(socket.sendmsg([new Uint8Array(memory)], [], 0, address)).toBe(2);
    const closing = {
      port: 1,
      get address() {
        socket.close();
        return "127.0.0.1";
      },
    };
    expect(() => socket.sendmsg(["x"], [], 0, closing)).toThrow("Socket.sendmsg: this Socket is closed");
  });
});

describe("recvmsgInto", () => {
  test("fills the buffers in order, and returns what recvmsg returns", () => {
    using place = new Place("AF_INET");
    using receiver = place.bound(SOCK_DGRAM);
    using sender = place.bound(SOCK_DGRAM);
    sender.sendto("hello world", receiver.getsockname());
    const buffers = [zeros(5), zeros(0), Buffer.alloc(1), zeros(10)];
    expect(eventually(receiver, () => receiver.recvmsgInto(buffers))).toEqual({
      size: 11,
      fullSize: 11,
      address: sender.getsockname(),
      flags: 0,
      ancillary: [],
    });
    expect(buffers.map(text)).toEqual(["hello", "", " ", "world\0\0\0\0\0"]);
    expect(receiver.recvmsgInto(buffers)).toBeNull();
    expect(receiver.recvmsgInto([])).toBeNull();
  });

  test("reports a datagram that does not fit, and never a size beyond the buffers", () => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    for (const [flags, fullSize] of [
      [0, 6],
      [MSG_TRUNC, 10],
    ] as const) {
      const buffers = [zeros(2), zeros(4)];
      pair.client.send("0123456789");
      const address = { path: "" };
      const expected = { size: 6, fullSize, flags: MSG_TRUNC, address, ancillary: [] };
      expect(pair.server.recvmsgInto(buffers, 0, flags | MSG_PEEK)).toEqual(expected);
      expect(pair.server.recvmsgInto(buffers, 0, flags)).toEqual(expected);
      expect(buffers.map(text)).toEqual(["01", "2345"]);
    }
  });

  test("receives file descriptors and reports those that do not fit", () => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    pair.client.sendFds("x", [0, 1]);
    const message = pair.server.recvmsgInto([zeros(1)], CMSG_SPACE(8));
    const fds = message?.ancillary.flatMap((item) => ("fds" in item ? item.fds : [])) ?? [];
    expect(fds).toHaveLength(2);
    for (const fd of fds) closeSync(fd);
    pair.client.sendFds("x", [0, 1]);
    expect(pair.server.recvmsgInto([zeros(1)])).toMatchObject({ flags: MSG_CTRUNC, ancillary: [] });
  });

  test("returns size 0 at the end of the stream", () => {
    using pair = new Pair(...socketpair());
    pair.client.close();
    expect(pair.server.recvmsgInto([zeros(4)])).toMatchObject({ size: 0, fullSize: 0 });
  });

  test("fills 1024 buffers of a stream", () => {
    using pair = new Pair(...socketpair());
    pair.client.send(Uint8Array.from({ length: 1024 }, (_, i) => i));
    const buffers = Array.from({ length: 1024 }, () => zeros(1));
    expect(pair.server.recvmsgInto(buffers)).toMatchObject({ size: 1024 });
    expect(buffers.map(([byte]) => byte)).toEqual(Array.from({ length: 1024 }, (_, i) => i % 256));
  });
});

describe("with MSG_TRUNC, TCP discards the bytes", () => {
  test("so recvmsg, recvmsgInto and recvfromInto return none, and how many were discarded", () => {
    using place = new Place("AF_INET");
    using pair = place.connected();
    pair.server.send("discarded keep this one");
    const buffer = zeros(4);
    const info = eventually(pair.client, () => pair.client.recvmsgInto([buffer], 0, MSG_TRUNC));
    expect(info).toMatchObject({ size: 0, fullSize: 4 });
    expect(pair.client.recvfromInto(buffer, MSG_TRUNC)).toMatchObject({ size: 0, fullSize: 4 });
    expect(buffer).toEqual(zeros(4));
    expect(pair.client.recvmsg(2, 0, MSG_TRUNC)?.data).toEqual(zeros(0));
    expect(text(pair.client.recvmsg(100)?.data ?? zeros(0))).toBe("keep this one");
  });
});

describe("recvfromInto", () => {
  test("receives a datagram and its sender's address", () => {
    using place = new Place("AF_INET");
    using receiver = place.bound(SOCK_DGRAM);
    using sender = place.bound(SOCK_DGRAM);
    const buffer = Buffer.alloc(8);
    expect(receiver.recvfromInto(buffer)).toBeNull();
    sender.sendto("ping", receiver.getsockname());
    const address = sender.getsockname();
    expect(eventually(receiver, () => receiver.recvfromInto(buffer))).toEqual({ size: 4, fullSize: 4, address });
    expect(text(buffer)).toBe("ping\0\0\0\0");
    sender.sendto("a long datagram", receiver.getsockname());
    const info = eventually(receiver, () => receiver.recvfromInto(buffer, MSG_TRUNC));
    expect(info).toEqual({ size: 8, fullSize: 15, address });
    expect(text(buffer)).toBe("a long d");
  });
});
