// Many datagrams with one system call: sendmmsg and recvmmsg, MessageBatch, and partial success.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync } from "node:fs";
import {
  AF_INET,
  AF_UNIX,
  CMSG_SPACE,
  MessageBatch,
  MSG_CTRUNC,
  MSG_PEEK,
  MSG_TRUNC,
  SOCK_DGRAM,
  Socket,
  socketpair,
  WOULD_BLOCK,
} from "../../../src/index.ts";
import { OpenFd } from "../../../src/io/owned-fd.ts";
import { syscalls, type Syscalls } from "../../../src/kernel/ffi.ts";
import { eventually, everySocketIsClosed, failure, Pair, Place } from "../../support/sockets.ts";
import { leavesNoFd } from "../../support/fds.ts";

setDefaultTimeout(60_000);
everySocketIsClosed();

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const texts = (batch: MessageBatch): string[] => Array.from({ length: batch.length }, (_, i) => text(batch.data(i)));

/** Receives until `count` datagrams have arrived. */
function receiveAll(socket: Socket, count: number): string[] {
  const received: string[] = [];
  while (received.length < count) {
    received.push(...eventually(socket, () => socket.recvmmsg(count, 2000)).map(({ data }) => text(data)));
  }
  return received;
}

describe.each(["AF_INET", "AF_INET6", "AF_UNIX path", "AF_UNIX abstract"] as const)("over %s", (kind) => {
  test("sends and receives many datagrams, each with its address", () => {
    using place = new Place(kind);
    using receiver = place.bound(SOCK_DGRAM);
    using one = place.bound(SOCK_DGRAM);
    using two = place.bound(SOCK_DGRAM);
    const to = receiver.getsockname();
    for (const [i, sender] of [one, two].entries()) {
      const messages = Array.from({ length: 4 }, (_, j) => ({ data: `${i} ${"x".repeat(j)}`, address: to }));
      expect(sender.sendmmsg(messages)).toBe(4);
    }
    const messages: { data: Uint8Array; address: unknown }[] = [];
    while (messages.length < 8) messages.push(...eventually(receiver, () => receiver.recvmmsg(5, 100)));
    expect(messages.map(({ data }) => text(data))).toEqual([
      "0 ",
      "0 x",
      "0 xx",
      "0 xxx",
      "1 ",
      "1 x",
      "1 xx",
      "1 xxx",
    ]);
    for (const { data, address } of messages) {
      expect(address).toEqual((text(data).startsWith("0") ? one : two).getsockname());
    }
    expect(receiver.recvmmsg(5, 100)).toBeNull();
  });

  test("a received batch can be sent as it is: an echo", () => {
    using place = new Place(kind);
    using server = place.bound(SOCK_DGRAM);
    using client = place.bound(SOCK_DGRAM);
    client.connect(server.getsockname());
    const batch = new MessageBatch({ capacity: 16, messageSize: 100, family: server.family });
    expect(server.recvmmsgInto(batch)).toBe(WOULD_BLOCK);
    expect(client.sendmmsg(["a", "bb", "", "dddd"].map((data) => ({ data })))).toBe(4);
    const echoed: string[] = [];
    while (echoed.length < 4) {
      eventually(server, () => (server.recvmmsgInto(batch) > 0 ? true : null));
      expect(server.sendmmsg(batch)).toBe(batch.length);
      echoed.push(...texts(batch));
    }
    expect(echoed).toEqual(["a", "bb", "", "dddd"]);
    expect(receiveAll(client, 4)).toEqual(echoed);
  });
});

test("one system call sends or receives all of them, and allocates nothing for each datagram", () => {
  const calls: string[] = [];
  const host = syscalls();
  const sys: Syscalls = {
    ...host,
    sendmmsg: (...call) => (calls.push("sendmmsg"), host.sendmmsg(...call)),
    recvmmsg: (...call) => (calls.push("recvmmsg"), host.recvmmsg(...call)),
  };
  using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
  const client = new Socket(AF_UNIX, SOCK_DGRAM, 0, new OpenFd(pair.client.detach()), sys);
  const server = new Socket(AF_UNIX, SOCK_DGRAM, 0, new OpenFd(pair.server.detach()), sys);
  const batch = new MessageBatch({ capacity: 8, messageSize: 16, family: AF_UNIX });
  for (let i = 0; i < 8; i++) expect(batch.push(`message ${i}`)).toBe(i);
  expect(client.sendmmsg(batch)).toBe(8);
  batch.clear();
  expect([server.recvmmsgInto(batch), batch.length]).toEqual([8, 8]);
  expect(texts(batch)).toEqual(Array.from({ length: 8 }, (_, i) => `message ${i}`));
  expect(calls).toEqual(["sendmmsg", "recvmmsg"]);
  expect(text(batch.bytes.subarray(batch.offset(3), batch.offset(3) + batch.size(3)))).toBe("message 3");
  client.close();
  server.close();
});

describe("an error after the first messages", () => {
  test("is not reported; the call returns their number, and the next call throws the error", () => {
    using place = new Place("AF_INET");
    using receiver = place.bound(SOCK_DGRAM);
    using sender = new Socket(AF_INET, SOCK_DGRAM);
    const address = receiver.getsockname();
    const tooLong = new Uint8Array(70_000);
    const messages = ["a", "b", tooLong, "d"].map((data) => ({ data, address }));
    expect(sender.sendmmsg(messages)).toBe(2);
    expect(failure(() => sender.sendmmsg(messages, 0, 2))).toEqual(["EMSGSIZE", "sendmmsg"]);
    expect(sender.sendmmsg(messages, 0, 3)).toBe(1);
    expect(receiveAll(receiver, 3)).toEqual(["a", "b", "d"]);

    const batch = new MessageBatch({ capacity: 4, messageSize: 70_000 });
    for (const { data } of messages) batch.push(data, address);
    expect(sender.sendmmsg(batch)).toBe(2);
    expect(failure(() => sender.sendmmsg(batch, 0, 2))).toEqual(["EMSGSIZE", "sendmmsg"]);
    expect(sender.sendmmsg(batch, 0, 3)).toBe(1);
    expect(sender.sendmmsg(batch, 0, 4)).toBe(0);
    expect(receiveAll(receiver, 3)).toEqual(["a", "b", "d"]);
  });

  test("a full queue ends the call, and then returns WOULD_BLOCK", () => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    const messages = Array.from({ length: 1000 }, () => ({ data: new Uint8Array(1000) }));
    let sent = 0;
    for (let n; (n = pair.client.sendmmsg(messages, 0, sent)) !== WOULD_BLOCK;) sent += n;
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(1000);
    expect(receiveAll(pair.server, sent)).toHaveLength(sent);
  });

  test("an ICMP error is thrown by recvmmsg", () => {
    using place = new Place("AF_INET");
    using socket = place.bound(SOCK_DGRAM);
    using gone = place.bound(SOCK_DGRAM);
    socket.connect(gone.getsockname());
    gone.close();
    socket.send("x");
    expect(failure(() => eventually(socket, () => socket.recvmmsg(4, 10)))).toEqual(["ECONNREFUSED", "recvmmsg"]);
  });
});

test("an array of more than 1024 messages is sent in several calls", () => {
  using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
  const messages = Array.from({ length: 1030 }, (_, i) => ({ data: `${i}` }));
  const received: string[] = [];
  for (let sent = 0; sent < messages.length;) {
    const n = pair.client.sendmmsg(messages, 0, sent);
    if (n === WOULD_BLOCK) received.push(...(pair.server.recvmmsg(1024, 10) ?? []).map(({ data }) => text(data)));
    else sent += n;
  }
  received.push(...receiveAll(pair.server, 1030 - received.length));
  expect(received).toEqual(messages.map(({ data }) => data));
});

test("a datagram that does not fit is cut off; with MSG_TRUNC its size is known", () => {
  using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
  const batch = new MessageBatch({ capacity: 2, messageSize: 4, family: AF_UNIX });
  pair.client.sendmmsg([{ data: "0123456789" }, { data: "ab" }]);
  expect(pair.server.recvmmsgInto(batch, MSG_PEEK | MSG_TRUNC)).toBe(2); // the first one, twice
  expect([batch.size(0), batch.fullSize(0), batch.flags(0)]).toEqual([4, 10, MSG_TRUNC]);
  expect(pair.server.recvmmsgInto(batch, MSG_TRUNC)).toBe(2);
  expect([batch.size(0), batch.fullSize(0), batch.flags(0)]).toEqual([4, 10, MSG_TRUNC]);
  expect([batch.size(1), batch.fullSize(1), batch.flags(1)]).toEqual([2, 2, 0]);
  expect(texts(batch)).toEqual(["0123", "ab"]);
  expect(pair.client.sendmmsg(batch)).toBe(2); // what was received, not what was cut off
  expect(receiveAll(pair.server, 2)).toEqual(["0123", "ab"]);
});

test("file descriptors are sent with a message, received with it, and not sent back", () =>
  leavesNoFd(() => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    const options = { capacity: 3, messageSize: 8, ancillarySize: CMSG_SPACE(8), family: AF_UNIX };
    const batch = new MessageBatch(options);
    batch.push("none");
    batch.push("two", undefined, [{ fds: [0, 1] }]);
    expect(pair.client.sendmmsg(batch)).toBe(2);
    expect(pair.client.sendmmsg([{ data: "one", ancillary: [{ fds: [0] }] }])).toBe(1);
    const received = new MessageBatch(options);
    expect(pair.server.recvmmsgInto(received)).toBe(3);
    expect(texts(received)).toEqual(["none", "two", "one"]);
    const fds = [0, 1, 2].map((i) => received.ancillary(i).flatMap((item) => ("fds" in item ? item.fds : [])));
    expect(fds.map(({ length }) => length)).toEqual([0, 2, 1]);
    for (const fd of fds.flat()) closeSync(fd);

    expect(pair.server.sendmmsg(received)).toBe(3); // the fds are closed: sending them would fail with EBADF
    expect(pair.client.recvmmsg(3, 8, 100)?.map(({ ancillary }) => ancillary)).toEqual([[], [], []]);

    pair.client.sendmmsg([{ data: "x", ancillary: [{ fds: [0] }] }]);
    expect(pair.server.recvmmsg(1, 1)?.[0]).toMatchObject({ flags: MSG_CTRUNC, ancillary: [] });
  }));

test("a size can be changed in place", () => {
  using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
  const batch = new MessageBatch({ capacity: 1, messageSize: 8, family: AF_UNIX });
  batch.push("");
  batch.bytes.set(Buffer.from("in place"), batch.offset(0));
  batch.resize(0, 2);
  pair.client.sendmmsg(batch);
  expect(receiveAll(pair.server, 1)).toEqual(["in"]);
});

describe("arguments", () => {
  const batch = (): MessageBatch => new MessageBatch({ capacity: 2, messageSize: 4, family: AF_UNIX });
  const throws = (call: () => unknown, message: string): void => expect(call).toThrow(message);

  test("of the constructor are checked", () => {
    const options = { capacity: 1, messageSize: 1 };
    throws(
      () => new MessageBatch({ ...options, capacity: 0 }),
      "capacity must be an integer from 1 to 1024; received 0",
    );
    throws(() => new MessageBatch({ ...options, capacity: 1025 }), "capacity must be an integer from 1 to 1024");
    throws(
      () => new MessageBatch({ ...options, messageSize: -1 }),
      "messageSize must be an integer from 0 to 2147479552",
    );
    throws(
      () => new MessageBatch({ capacity: 1024, messageSize: 2 ** 22 }),
      "messageSize must be an integer from 0 to 2097148",
    );
    throws(() => new MessageBatch({ ...options, ancillarySize: "1" as never }), "ancillarySize must be an integer");
  });

  test("of messages are checked", () => {
    const full = batch();
    full.push("a");
    full.push("b");
    throws(() => full.push("c"), "the batch is full: it has 2 messages; send it, then call clear()");
    throws(() => batch().push("12345"), "data is 5 bytes long; a message of this batch can have at most 4");
    throws(
      () => batch().push("x", undefined, [{ fds: [0] }]),
      "ancillary takes 24 bytes; the ancillarySize of this batch is 0",
    );
    throws(() => batch().push(5 as never), "data must be a string, a Buffer or a Uint8Array");
    throws(() => batch().push("x", { port: 1 } as never), "the address of an AF_UNIX socket must be { path }");
    throws(() => batch().size(0), "i must be omitted: the batch is empty; received 0");
    throws(() => full.data(2), "i must be an integer from 0 to 1; received 2");
    throws(() => full.address("0" as never), 'i must be an integer from 0 to 1; received "0"');
    throws(() => full.resize(0, 5), "size must be an integer from 0 to 4; received 5");
  });

  test("of the methods are checked", () => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    throws(
      () => pair.client.sendmmsg("x" as never),
      "messages must be a MessageBatch or an array, such as [{ data, address }]",
    );
    throws(
      () => pair.client.sendmmsg([null] as never),
      "a message must be { data, address, ancillary }; received null",
    );
    throws(
      () => pair.client.sendmmsg([{}] as never),
      "data must be a string, a Buffer or a Uint8Array; received undefined",
    );
    throws(() => pair.client.sendmmsg([], 0, 1), "start must be an integer from 0 to 0; received 1");
    throws(() => pair.client.sendmmsg(batch(), 0, -1), "start must be an integer from 0 to 0; received -1");
    throws(() => pair.client.recvmmsg(0, 1), "maxMessages must be an integer from 1 to 1024; received 0");
    throws(() => pair.client.recvmmsg(1024, 2 ** 31), "size must be an integer from 0 to 2097148");
    throws(() => pair.client.recvmmsgInto({ capacity: 1 } as never), "batch must be a MessageBatch");
    const fake = Object.create(MessageBatch.prototype) as MessageBatch;
    throws(() => pair.client.recvmmsgInto(fake), "batch must be a MessageBatch");
    throws(() => pair.client.sendmmsg(fake), "messages must be a MessageBatch or an array");
    const other = new MessageBatch({ capacity: 1, messageSize: 1 });
    throws(() => pair.client.recvmmsgInto(other), "the batch is for sockets of family 2; the family of this one is 1");
    expect([pair.client.sendmmsg([]), pair.client.sendmmsg(batch())]).toEqual([0, 0]);
    using stream = new Pair(...socketpair());
    throws(
      () => stream.client.sendmmsg([{ data: "x" }]),
      "sendmmsg requires a socket that preserves message boundaries, such as SOCK_DGRAM: use sendmsg on a stream",
    );
    throws(() => stream.client.recvmmsg(1, 1), "recvmmsg requires a socket that preserves message boundaries");
  });

  test("the memory of a batch may have been transferred", () => {
    using pair = new Pair(...socketpair(AF_UNIX, SOCK_DGRAM));
    const moved = batch();
    moved.push("x");
    structuredClone(moved.bytes, { transfer: [moved.bytes.buffer as ArrayBuffer] });
    pair.client.send("long enough");
    Object.defineProperty(moved.bytes, "byteLength", { value: 8 });
    const message = "the memory of the batch must be a view of existing memory: its ArrayBuffer is detached";
    throws(() => pair.server.recvmmsgInto(moved), message);
    throws(() => pair.server.sendmmsg(moved), message);
  });
});
