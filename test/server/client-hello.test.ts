// The host name in a ClientHello: found wherever the bytes are split, and never by reading beyond what was received.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { serverNameOf } from "../../src/protocols/tls/client-hello.ts";
import { scaled } from "../support/scale.ts";
import { clientHello } from "../support/tls.ts";

setDefaultTimeout(60_000);

/** Returns the same handshake message in records of up to `size` bytes. */
function fragmented(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

test("the name is found when the message is complete, in one record or many", async () => {
  const hello = await clientHello({ servername: "some.example.test" });
  for (const size of [1, 3, 100, 16_384]) {
    const bytes = fragmented(hello, size);
    for (let length = 0; length < bytes.length; length += size === 1 ? 97 : 1) {
      expect(serverNameOf(bytes.subarray(0, length))).toBeUndefined();
    }
    expect(serverNameOf(bytes)).toBe("some.example.test");
    expect(serverNameOf(Buffer.concat([bytes, Buffer.from("more")]))).toBe("some.example.test");
  }
});

test("without a name, or without a ClientHello, it is empty", async () => {
  expect(serverNameOf(await clientHello({ servername: "" }))).toBe("");
  expect(serverNameOf(Buffer.from("GET / HTTP/1.1\r\n\r\n"))).toBe("");
  expect(serverNameOf(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]))).toBe("");
  expect(serverNameOf(Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0]))).toBe("");
});

test("changed bytes never throw, and lengths that are too large do not reach beyond the message", async () => {
  const hello = await clientHello();
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(hello.length),
      (changes, length) => {
        const bytes = Buffer.from(hello);
        for (const [at, value] of changes) bytes[at] = value;
        const name = serverNameOf(bytes.subarray(0, length));
        expect(name === undefined || name.length < length + 1).toBe(true);
      },
    ),
    { numRuns: scaled(2_000, 200_000) },
  );
});
