// Property test: the bytes of a stream arrive once and in order, for any sequence of calls with any sizes.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { EPOLLIN, SHUT_WR, SO_RCVBUF, SO_SNDBUF, SOL_SOCKET } from "../../../src/kernel/constants.ts";
import { type Socket, socketpair } from "../../../src/io/socket.ts";
import { WOULD_BLOCK } from "../../../src/io/transfer.ts";
import { byteAt, everySocketIsClosed, Pair, pattern, Place, until } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

everySocketIsClosed();

/** One call at one end: the method, the number of bytes, and the offset in the buffer. */
interface Step {
  call: "send" | "sendmsg" | "recv" | "recvInto" | "recvfrom" | "recvmsg";
  size: number;
  offset: number;
}

const step = fc.record<Step>({
  call: fc.constantFrom("send", "sendmsg", "recv", "recvInto", "recvfrom", "recvmsg"),
  size: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 200_000 })),
  offset: fc.nat(64),
});

/** Sends bytes of the pattern, starting at `sent`. Returns the number of bytes. */
function send(socket: Socket, { call, size, offset }: Step, sent: number): number {
  const buffer = new Uint8Array(offset + size + 7).fill(0xee);
  buffer.set(pattern(size, sent), offset);
  const half = offset + (size >> 1);
  const n =
    call === "send"
      ? socket.send(buffer.subarray(offset, offset + size))
      : socket.sendmsg([buffer.subarray(offset, half), buffer.subarray(half, offset + size)]);
  expect(n).toBeLessThanOrEqual(size);
  return n === WOULD_BLOCK ? 0 : n;
}

/** Receives with the method of the step. Returns bytes or null. */
function receive(socket: Socket, { call, size, offset }: Step): Uint8Array | null {
  if (call === "recv") return socket.recv(size);
  if (call === "recvfrom") return socket.recvfrom(size)?.data ?? null;
  if (call === "recvmsg") return socket.recvmsg(size)?.data ?? null;
  const buffer = new Uint8Array(offset + size + 7).fill(0xee);
  const n = socket.recvInto(buffer.subarray(offset, offset + size));
  if (n === WOULD_BLOCK) return null;
  for (let i = 0; i < offset; i++) if (buffer[i] !== 0xee) throw new Error(`byte ${i} before the view was written`);
  for (let i = offset + n; i < buffer.length; i++)
    if (buffer[i] !== 0xee) throw new Error("a byte after the view was written");
  return buffer.subarray(offset, offset + n);
}

function assertPattern(bytes: Uint8Array, start: number): void {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== byteAt(start + i)) throw new Error(`byte ${start + i} is ${bytes[i]}, not ${byteAt(start + i)}`);
  }
}

function run(pair: Pair, steps: readonly Step[]): void {
  let sent = 0;
  let received = 0;
  for (const step of steps) {
    if (step.call.startsWith("send")) {
      sent += send(pair.client, step, sent);
      continue;
    }
    const bytes = receive(pair.server, step);
    if (bytes === null) continue;
    expect(bytes.length).toBeLessThanOrEqual(step.size);
    assertPattern(bytes, received);
    received += bytes.length;
  }
  pair.client.shutdown(SHUT_WR);
  for (;;) {
    const bytes = pair.server.recv(65536);
    if (bytes === null) until(pair.server, EPOLLIN);
    else if (bytes.length === 0) break;
    else {
      assertPattern(bytes, received);
      received += bytes.length;
    }
  }
  expect(received).toBe(sent);
}

describe("any sequence of sends and receives preserves the stream", () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 40 });

  test("through a socketpair", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        using pair = new Pair(...socketpair());
        run(pair, steps);
      }),
      { numRuns: 100 },
    );
  });

  test("through a socketpair with small buffers", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        using pair = new Pair(...socketpair());
        pair.client.setsockopt(SOL_SOCKET, SO_SNDBUF, 5000);
        run(pair, steps);
      }),
      { numRuns: 100 },
    );
  });

  test("through TCP", () => {
    using place = new Place("AF_INET");
    fc.assert(
      fc.property(steps, (steps) => {
        using pair = place.connected();
        run(pair, steps);
      }),
      { numRuns: 50 },
    );
  });

  test("through TCP over IPv6 with small buffers", () => {
    using place = new Place("AF_INET6");
    fc.assert(
      fc.property(steps, (steps) => {
        using pair = place.connected();
        pair.client.setsockopt(SOL_SOCKET, SO_SNDBUF, 20_000);
        pair.server.setsockopt(SOL_SOCKET, SO_RCVBUF, 20_000);
        run(pair, steps);
      }),
      { numRuns: 30 },
    );
  });
});

test("datagrams of any size arrive complete and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 5 }), (messages) => {
      using pair = new Pair(...socketpair(1, 2));
      for (const message of messages) expect(pair.client.send(message)).toBe(message.length);
      for (const message of messages) expect(pair.server.recv(4000)).toEqual(message);
      expect(pair.server.recv(4000)).toBeNull();
    }),
    { numRuns: 100 },
  );
});
