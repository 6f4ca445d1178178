// Whose bytes go in and out: views with an offset, collected neighbours, and calls that the JIT has compiled.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { AF_UNIX, SO_TYPE, SOCK_DGRAM, SOL_SOCKET } from "../../../src/kernel/constants.ts";
import { Socket, socketpair } from "../../../src/io/socket.ts";
import { scaled } from "../../support/scale.ts";
import { eventually, everySocketIsClosed, Pair, pattern, Place, text } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

describe("a view into a larger buffer", () => {
  test("is sent from its offset, for its length", () => {
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

  test("is received into from its offset, and nothing outside is touched", () => {
    using pair = new Pair(...socketpair());
    pair.client.send("abcdefgh");
    const whole = new Uint8Array(10).fill(0xff);
    expect(pair.server.recvInto(whole.subarray(3, 6))).toBe(3);
    expect([...whole]).toEqual([255, 255, 255, 97, 98, 99, 255, 255, 255, 255]);
    expect(pair.server.recvInto(new Uint8Array(whole.buffer, 9, 1))).toBe(1);
    expect(whole[9]).toBe(100);
  });

  test("of no length takes nothing from the stream", () => {
    using pair = new Pair(...socketpair());
    pair.client.send("abc");
    expect(pair.server.recvInto(new Uint8Array(10).subarray(5, 5))).toBe(0);
    expect(text(pair.server.recv(10))).toBe("abc");
  });
});

test("text is sent as UTF-8, and the count is bytes", () => {
  using pair = new Pair(...socketpair());
  expect(pair.client.send("grüß 🦊")).toBe(11);
  expect(text(pair.server.recv(100))).toBe("grüß 🦊");
});

test("a Buffer from the pool is sent from its own place in it", () => {
  using pair = new Pair(...socketpair());
  const buffers = Array.from({ length: 50 }, (_, i) => Buffer.from(`${i},`));
  for (const buffer of buffers) pair.client.send(buffer);
  expect(text(pair.server.recv(1000))).toBe(buffers.join(""));
});

test("memory that is shared, or that can be resized, is as good as any", () => {
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

test("what recv gives stays as it is when more is received", () => {
  using pair = new Pair(...socketpair());
  const received = [];
  for (const letter of ["a", "b", "c"]) {
    pair.client.send(letter);
    received.push(pair.server.recv(1));
  }
  expect(received.map(text)).toEqual(["a", "b", "c"]);
});

test("the address of one call stays as it is after the next", () => {
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

test("a collection after every call changes no byte", () => {
  using pair = new Pair(...socketpair());
  // The whole heap, which the other files' tests have filled: 20 ms each.
  for (let i = 0; i < scaled(50, 400); i++) {
    const size = 1 + ((i * 37) % 3000);
    const sent = pattern(size + 5, i);
    pair.client.sendmsg([sent.subarray(5, 5 + (size >> 1)), sent.subarray(5 + (size >> 1))]);
    Bun.gc(true);
    const buffer = new Uint8Array(size + 3);
    const n = i % 2 === 0 ? pair.server.recvInto(buffer.subarray(3)) : -2;
    const received = n === -2 ? pair.server.recv(size) : buffer.subarray(3, 3 + n);
    if (Buffer.compare(received ?? new Uint8Array(0), sent.subarray(5)) !== 0)
      throw new Error(`iteration ${i} differs`);
  }
}, 180_000);

test("collections between datagrams change neither bytes nor addresses", () => {
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

test("small buffers stay right in calls that the JIT has compiled", () => {
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

test("addresses stay right in calls that the JIT has compiled", () => {
  using socket = new Socket(2, SOCK_DGRAM);
  socket.bind({ address: "127.0.0.1", port: 0 });
  const first = JSON.stringify(socket.getsockname());
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) if (JSON.stringify(socket.getsockname()) !== first) wrong++;
  expect(wrong).toBe(0);
}, 180_000);
