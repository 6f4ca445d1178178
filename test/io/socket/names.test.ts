// inet_pton, inet_ntop and getaddrinfo of the shim, at the limits of their buffers.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ADDRESS_BYTES, type Address, decodeAddress } from "../../../src/kernel/address.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "../../../src/kernel/constants.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";

setDefaultTimeout(60_000);

const sys = syscalls();
const cString = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

describe("inet_pton", () => {
  test("writes an IPv4 address at the offset, and nothing else", () => {
    const out = new Uint8Array(10).fill(0xff);
    expect(sys.inet_pton(AF_INET, cString("1.2.3.4"), out, 3)).toBe(1);
    expect([...out]).toEqual([255, 255, 255, 1, 2, 3, 4, 255, 255, 255]);
  });

  test("writes an IPv6 address at the offset, and nothing else", () => {
    const out = new Uint8Array(20).fill(0xff);
    expect(sys.inet_pton(AF_INET6, cString("102:304::a0b"), out, 2)).toBe(1);
    expect([...out]).toEqual([255, 255, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 11, 255, 255]);
  });

  test.each([
    [AF_INET, "::1"],
    [AF_INET6, "1.2.3.4"],
    [AF_INET, ""],
    [AF_INET, "1.2.3"],
    [AF_INET, "localhost"],
  ])("returns 0 for a text that is not an address of the family (%d %j)", (family, text) => {
    expect(sys.inet_pton(family, cString(text), new Uint8Array(16), 0)).toBe(0);
  });

  test("returns a negative number for another family", () => {
    expect(sys.inet_pton(AF_UNIX, cString("x"), new Uint8Array(16), 0)).toBeLessThan(0);
  });
});

describe("inet_ntop", () => {
  test("writes the NUL-terminated text", () => {
    const out = new Uint8Array(20).fill(0xff);
    expect(sys.inet_ntop(AF_INET, new Uint8Array([9, 9, 10, 0, 0, 1]), 2, out, 20)).toBe(0);
    expect(Buffer.from(out.subarray(0, 9)).toString("latin1")).toBe("10.0.0.1\0");
  });

  test("writes the longest possible text", () => {
    const out = new Uint8Array(48);
    const longest = "1111:2222:3333:4444:5555:6666:7777:8888";
    const bytes = new Uint8Array(16);
    sys.inet_pton(AF_INET6, cString(longest), bytes, 0);
    expect(sys.inet_ntop(AF_INET6, bytes, 0, out, 48)).toBe(0);
    expect(Buffer.from(out.subarray(0, out.indexOf(0))).toString()).toBe(longest);
  });

  test("returns -ENOSPC if the buffer is too small, without writing beyond it", () => {
    const out = new Uint8Array(10).fill(0xff);
    expect(sys.inet_ntop(AF_INET, new Uint8Array([255, 255, 255, 255]), 0, out, 8)).toBe(-28);
    expect([...out.subarray(8)]).toEqual([255, 255]);
  });

  test("returns -EAFNOSUPPORT for another family", () => {
    expect(sys.inet_ntop(AF_UNIX, new Uint8Array(16), 0, new Uint8Array(48), 48)).toBe(-97);
  });
});

describe("getaddrinfo", () => {
  const resolve = (host: string, max = 8): { n: number; found: Address[] } => {
    const out = new Uint8Array(new ArrayBuffer(ADDRESS_BYTES * max));
    const n = sys.getaddrinfo(cString(host), out, max);
    const found = Array.from({ length: Math.max(0, n) }, (_, i) =>
      decodeAddress(sys, out.subarray(i * ADDRESS_BYTES, (i + 1) * ADDRESS_BYTES)),
    );
    return { n, found };
  };

  test("resolves localhost to loopback addresses, each once", () => {
    const { n, found } = resolve("localhost");
    expect(n).toBeGreaterThan(0);
    const texts = found.map((address) => (address as { address: string }).address);
    expect(texts.filter((text) => !text.startsWith("127.") && text !== "::1")).toEqual([]);
    expect(new Set(texts).size).toBe(texts.length);
  });

  test.each([
    ["127.0.0.1", { address: "127.0.0.1", port: 0, family: "IPv4" }],
    ["::1", { address: "::1", port: 0, family: "IPv6" }],
    ["fe80::1%1", { address: "fe80::1", port: 0, family: "IPv6", scopeId: 1 }],
  ] as const)("returns %s unchanged", (host, address) => {
    expect(resolve(host)).toEqual({ n: 1, found: [address] });
  });

  test("writes at most `max` addresses", () => {
    const out = new Uint8Array(new ArrayBuffer(ADDRESS_BYTES * 2)).fill(0xee);
    expect(sys.getaddrinfo(cString("localhost"), out, 1)).toBe(1);
    expect(out.subarray(ADDRESS_BYTES).every((byte) => byte === 0xee)).toBe(true);
    expect(resolve("localhost", 0).n).toBe(0);
  });

  test("returns a negative number for an invalid name", () => {
    expect(resolve(`${"x".repeat(64)}.invalid`).n).toBeLessThan(0); // a label has at most 63 characters
    expect(resolve("::1::").n).toBeLessThan(0);
  });
});
