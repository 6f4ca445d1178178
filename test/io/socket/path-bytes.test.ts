// Unix socket names that are not UTF-8: different names are different strings, and each can be used again.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { existsSync, mkdtempSync, readdirSync, rmSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_UNIX, decodePath, encodePath, SOCK_DGRAM, Socket } from "../../../src/index.ts";
import { formatPath } from "../../../src/kernel/format-path.ts";
import { eventually, everySocketIsClosed } from "../../support/sockets.ts";

setDefaultTimeout(60_000);
everySocketIsClosed();

/** Bytes that are often invalid as UTF-8: parts of characters, surrogates, a BOM, NUL. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.constantFrom("é", "💀", "\0", "a", "\ufeff").map((text) => new TextEncoder().encode(text)),
      fc
        .constantFrom([0xed, 0xb2, 0x80], [0xc0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xf0, 0x9f, 0x92])
        .map((b) => Uint8Array.from(b)),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Uint8Array.from(Buffer.concat(parts)));

describe("decodePath", () => {
  test("is undone by encodePath, for any bytes", () => {
    fc.assert(
      fc.property(bytes, (path) => {
        expect(Uint8Array.from(encodePath(decodePath(path)))).toEqual(path);
      }),
      { numRuns: 2000 },
    );
  });

  test("leaves valid UTF-8 as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (path) => {
        expect(decodePath(encodePath(path))).toBe(path);
      }),
    );
  });

  test("gives the strings of Python's os.fsdecode", () => {
    expect(decodePath(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9, 0xc3))).toBe("a\udcffé\udcc3");
    expect(decodePath(Uint8Array.of(0xed, 0xb2, 0x80))).toBe("\udced\udcb2\udc80"); // a surrogate is not valid UTF-8
  });
});

test("encodePath rejects a string that stands for no bytes", () => {
  for (const path of ["\ud800", "\udc7f", "\udd00", "a\udfff"]) {
    expect(() => encodePath(path)).toThrow("path contains the lone surrogate U+");
  }
  expect(() => encodePath(5 as never)).toThrow("path must be a string; received 5");
  expect(() => decodePath("x" as never)).toThrow("bytes must be a Buffer or a Uint8Array");
});

test("names that differ only in bytes that are not UTF-8 are displayed differently", () => {
  expect([0xfe, 0xff].map((byte) => formatPath(decodePath(Uint8Array.of(0, byte))))).toEqual(["@\\xfe", "@\\xff"]);
  expect(formatPath("💀é")).toBe("💀é");
});

describe("sockets", () => {
  const name = (...tail: number[]): Uint8Array<ArrayBuffer> =>
    Uint8Array.from([0, ...new TextEncoder().encode(`epoll-hello ${process.pid}`), ...tail]);

  test("with abstract names that are not UTF-8 are told apart, and can be answered", () => {
    using receiver = new Socket(AF_UNIX, SOCK_DGRAM);
    receiver.bind({ path: name(0xff) });
    using other = new Socket(AF_UNIX, SOCK_DGRAM);
    other.bind({ path: name(0xfe) });
    const [one, two] = [receiver.getsockname(), other.getsockname()] as [{ path: string }, { path: string }];
    expect(one.path).not.toBe(two.path);
    expect(JSON.stringify(one)).not.toBe(JSON.stringify(two));
    expect(Uint8Array.from(encodePath(one.path))).toEqual(name(0xff));

    other.sendto("question", one);
    const { data, address } = eventually(receiver, () => receiver.recvfrom(100));
    expect([Buffer.from(data).toString(), address]).toEqual(["question", two]);
    receiver.sendto("answer", address);
    expect(eventually(other, () => other.recvfrom(100))).toEqual({
      data: Uint8Array.from(Buffer.from("answer")),
      address: one,
    });
    other.connect(one);
    expect(other.getpeername()).toEqual(one);

    using third = new Socket(AF_UNIX, SOCK_DGRAM);
    expect(() => third.bind(one)).toThrow(`bind EADDRINUSE: address already in use @epoll-hello ${process.pid}\\xff`);
    expect(() => third.bind({ path: name(0xff) })).toThrow(`address already in use @epoll-hello ${process.pid}\\xff`);
    receiver.close();
    third.bind(one);
    expect(third.getsockname()).toEqual(one);
  });

  test("with paths that are not UTF-8 are files, which encodePath names", () => {
    const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
    try {
      const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x61, 0xff])]);
      using socket = new Socket(AF_UNIX);
      socket.bind({ path });
      expect(readdirSync(directory, { encoding: "buffer" }).map((entry) => [...entry])).toEqual([[0x61, 0xff]]);
      const bound = socket.getsockname() as { path: string };
      expect(bound).toEqual({ path: `${directory}/a\udcff` });
      unlinkSync(Buffer.from(encodePath(bound.path)));
      expect(existsSync(path)).toBe(false);
      using again = new Socket(AF_UNIX);
      again.bind(bound);
      expect(existsSync(path)).toBe(true);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
