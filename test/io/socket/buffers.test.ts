// Buffers of sends and receives: views with an offset, garbage collection and JIT-compiled calls.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { AF_UNIX, SO_TYPE, SOCK_DGRAM, SOL_SOCKET } from "../../../src/kernel/constants.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { scaled } from "../../support/scale.ts";
import { eventually, everySocketIsClosed, Pair, pattern, Place, text } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe("a view into a larger buffer", () => {
  test("is sent from its offset, with its length", () => {
    using pair = new Pair(...socketpair());
    const whole = Buffer.from("....payload....");
    expect(pair.client.send(whole.subarray(4, 11))).toBe(7);
    expect(pair.client.send(new Uint8Array(whole.buffer, whole.byteOffset + 4, 3))).toBe(3);
    expect(text(pair.server.recv(100))).toBe("payloadpay");
  });

  test("is sent from its offset by sendto and sendmsg", () => {
    using place = new Place("AF_UNIX abstract");
    using sender = place.bound(SOCK_DGRAM);
    using receiver = place.bound(SOCK_DGRAM);
    const whole = Buffer.from("....payload....");
    sender.sendto(whole.subarray(4, 11), receiver.getsockname());
    sender.sendmsg([whole.subarray(4, 7)], [], 0, receiver.getsockname());
    sender.sendmsg([whole.subarray(4, 7), whole.subarray(7, 11)], [], 0, receiver.getsockname());
    expect(["payload", "pay", "payload"]).toEqual([1, 2, 3].map(() => text(receiver.recv(100)) ?? ""));
  });

  test("receives at its offset, without changing bytes outside", () => {
    using pair = new Pair(...socketpair());
    pair.client.send("abcdefgh");
    const whole = new Uint8Array(10).fill(0xff);
    expect(pair.server.recvInto(whole.subarray(3, 6))).toBe(3);
    expect([...whole]).toEqual([255, 255, 255, 97, 98, 99, 255, 255, 255, 255]);
    expect(pair.server.recvInto(new Uint8Array(whole.buffer, 9, 1))).toBe(1);
    expect(whole[9]).toBe(100);
  });

  test("of length 0 takes nothing from the stream", () => {
    using pair = new Pair(...socketpair());
    pair.client.send("abc");
    expect(pair.server.recvInto(new Uint8Array(10).subarray(5, 5))).toBe(0);
    expect(text(pair.server.recv(10))).toBe("abc");
  });
});

test("a string is sent as UTF-8, and the result counts bytes", () => {
  using pair = new Pair(...socketpair());
  expect(pair.client.send("grüß 🦊")).toBe(11);
  expect(text(pair.server.recv(100))).toBe("grüß 🦊");
});

test("a Buffer from the pool is sent from its offset in the pool", () => {
  using pair = new Pair(...socketpair());
  const buffers = Array.from({ length: 50 }, (_, i) => Buffer.from(`${i},`));
  for (const buffer of buffers) pair.client.send(buffer);
  expect(text(pair.server.recv(1000))).toBe(buffers.join(""));
});

test("shared and resizable buffers work", () => {
  using pair = new Pair(...socketpair());
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  shared.set([1, 2, 3], 2);
  const growing = new ArrayBuffer(4, { maxByteLength: 100 });
  const tracking = new Uint8Array(growing);
  growing.resize(50);
  expect(pair.client.send(shared.subarray(2, 5))).toBe(3);
  expect(pair.server.recvInto(tracking.subarray(40))).toBe(3);
  expect([...tracking.subarray(40, 44)]).toEqual([1, 2, 3, 0]);
});

test("the result of recv does not change when more bytes are received", () => {
  using pair = new Pair(...socketpair());
  const received = [];
  for (const letter of ["a", "b", "c"]) {
    pair.client.send(letter);
    received.push(pair.server.recv(1));
  }
  expect(received.map(text)).toEqual(["a", "b", "c"]);
});

test("an address does not change when the next one is received", () => {
  using place = new Place("AF_INET");
  using receiver = place.bound(SOCK_DGRAM);
  using one = place.bound(SOCK_DGRAM);
  using other = place.bound(SOCK_DGRAM);
  one.sendto("1", receiver.getsockname());
  const first = eventually(receiver, () => receiver.recvfrom(1)).address;
  other.sendto("2", receiver.getsockname());
  const second = eventually(receiver, () => receiver.recvfrom(1)).address;
  expect([first, second]).toEqual([one.getsockname(), other.getsockname()]);
});

test("bytes are correct with a garbage collection after every call", () => {
  using pair = new Pair(...socketpair());
  // Each collection takes about 20 ms, because other test files have filled the heap.
  for (let i = 0; i < scaled(50, 400); i++) {
    const size = 1 + ((i * 37) % 3000);
    const sent = pattern(size + 5, i);
    pair.client.sendmsg([sent.subarray(5, 5 + (size >> 1)), sent.subarray(5 + (size >> 1))]);
    Bun.gc(true);
    let received: Uint8Array | null;
    if (i % 2 === 0) {
      const buffer = new Uint8Array(size + 3);
      received = buffer.subarray(3, 3 + pair.server.recvInto(buffer.subarray(3)));
    } else received = pair.server.recv(size);
    expect([i, Buffer.compare(received ?? new Uint8Array(0), sent.subarray(5))]).toEqual([i, 0]);
  }
}, 180_000);

test("datagrams and addresses are correct with a garbage collection after every send", () => {
  using place = new Place("AF_UNIX abstract");
  using pair = place.datagrams();
  const from = pair.client.getsockname();
  for (let i = 0; i < scaled(25, 200); i++) {
    const sent = pattern(50, i);
    pair.client.sendto(sent, pair.server.getsockname());
    Bun.gc(true);
    const message = pair.server.recvmsg(60);
    expect(message).toEqual({ data: sent, address: from, flags: 0, ancillary: [] });
  }
}, 180_000);

test("small buffers are correct in JIT-compiled calls", () => {
  using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
  let wrong = 0;
  for (let i = 0; i < 100_000; i++) {
    const one = new Uint8Array([i & 0xff, (i >> 8) & 0xff]);
    pair.client.send(one);
    const other = new Uint8Array(2);
    pair.server.recvInto(other);
    if (other[0] !== one[0] || other[1] !== one[1]) wrong++;
    if (pair.client.getsockopt(SOL_SOCKET, SO_TYPE) !== SOCK_DGRAM) wrong++;
  }
  expect(wrong).toBe(0);
}, 180_000);

test("addresses are correct in JIT-compiled calls", () => {
  using socket = new Socket(2, SOCK_DGRAM);
  socket.bind({ address: "127.0.0.1", port: 0 });
  const first = JSON.stringify(socket.getsockname());
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) if (JSON.stringify(socket.getsockname()) !== first) wrong++;
  expect(wrong).toBe(0);
}, 180_000);
