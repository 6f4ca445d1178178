// Property test: decodeAddress restores what encodeAddress encoded, for all kinds of addresses.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { isIPv6 } from "node:net";
import {
  ADDRESS_BYTES,
  addressBuffer,
  decodeAddress,
  encodeAddress,
  formatAddress,
  type InternetAddress,
} from "../../../src/kernel/address.ts";
import { AF_CAN, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK } from "../../../src/kernel/constants.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";
import { Socket } from "../../../src/io/socket.ts";
import { Place } from "../../support/sockets.ts";

setDefaultTimeout(60_000);

const sys = syscalls();
const port = fc.integer({ min: 0, max: 65535 });
const scopeId = fc.integer({ min: 1, max: 0xffffffff });
const bytesIn = (text: string): number => new TextEncoder().encode(text).length;

function roundTrip(address: Parameters<typeof encodeAddress>[1], family: number): ReturnType<typeof decodeAddress> {
  return decodeAddress(sys, encodeAddress(sys, address, family));
}

test("restores an IPv4 address and port", () => {
  fc.assert(
    fc.property(fc.ipV4(), port, (address, port) => {
      expect(roundTrip({ address, port }, AF_INET)).toEqual({ address, port, family: "IPv4" });
    }),
    { numRuns: 500 },
  );
});

test("restores an IPv6 address, port and scope ID, in canonical text form", () => {
  fc.assert(
    fc.property(fc.ipV6(), port, fc.option(scopeId, { nil: undefined }), (address, port, scopeId) => {
      const first = encodeAddress(sys, { address, port, scopeId }, AF_INET6);
      const decoded = decodeAddress(sys, first) as InternetAddress;
      expect(decoded).toEqual({
        address: expect.any(String),
        port,
        family: "IPv6",
        ...(scopeId === undefined ? {} : { scopeId }),
      });
      expect(isIPv6(decoded.address)).toBe(true);
      expect(encodeAddress(sys, decoded, AF_INET6)).toEqual(first);
    }),
    { numRuns: 500 },
  );
});

test("restores an IPv6 address of any 16 bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const buffer = addressBuffer();
      buffer.set([28, 0, 0, 0, AF_INET6, 0]);
      buffer.set(bytes, 12);
      const decoded = decodeAddress(sys, buffer);
      expect(encodeAddress(sys, decoded, AF_INET6)).toEqual(buffer);
    }),
    { numRuns: 500 },
  );
});

test("restores a scope ID in the text of an address", () => {
  fc.assert(
    fc.property(scopeId, (scopeId) => {
      expect(roundTrip({ address: `fe80::1%${scopeId}`, port: 0 }, AF_INET6)).toMatchObject({
        address: "fe80::1",
        scopeId,
      });
    }),
  );
});

test("restores ports from 0 to 65535", () => {
  for (let port = 0; port < 65536; port += 7) {
    expect(roundTrip({ address: "10.0.0.1", port }, AF_INET)).toEqual({ address: "10.0.0.1", port, family: "IPv4" });
  }
  expect(roundTrip({ address: "::1", port: 65535 }, AF_INET6)).toMatchObject({ port: 65535 });
});

describe("a unix path", () => {
  const path = fc
    .string({
      unit: fc.oneof(
        { weight: 9, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 1 }) },
        fc.constant("\ufeff"),
      ),
      maxLength: 107,
    })
    .filter((text) => !text.includes("\0") && bytesIn(text) <= 107);

  test("of up to 107 bytes is restored, whatever its text", () => {
    fc.assert(
      fc.property(path, (path) => {
        expect(roundTrip({ path }, AF_UNIX)).toEqual({ path });
      }),
      { numRuns: 500 },
    );
  });

  test("that starts with a byte order mark is restored", () => {
    expect(roundTrip({ path: "\ufeffmarked" }, AF_UNIX)).toEqual({ path: "\ufeffmarked" });
  });

  test("of 107 bytes is NUL-terminated", () => {
    const encoded = encodeAddress(sys, { path: "x".repeat(107) }, AF_UNIX);
    expect(new DataView(encoded.buffer).getUint32(0, true)).toBe(2 + 108);
    expect(encoded[4 + 2 + 107]).toBe(0);
    expect(ADDRESS_BYTES).toBeGreaterThanOrEqual(4 + 2 + 108);
  });

  test("of 108 bytes without a NUL, bound by another program, is decoded completely", () => {
    const buffer = addressBuffer();
    buffer.set([2 + 108, 0, 0, 0, AF_UNIX, 0]);
    buffer.fill(120, 6, 6 + 108);
    expect(decodeAddress(sys, buffer)).toEqual({ path: "x".repeat(108) });
  });
});

describe("an abstract name", () => {
  const name = fc
    .string({ unit: "binary", maxLength: 107 })
    .map((rest) => `\0${rest}`)
    .filter((text) => bytesIn(text) <= 108);

  test("of up to 108 bytes is restored, whatever its text, including NULs", () => {
    fc.assert(
      fc.property(name, (path) => {
        expect(roundTrip({ path }, AF_UNIX)).toEqual({ path });
      }),
      { numRuns: 500 },
    );
  });

  test("survives bind and getsockname", () => {
    using place = new Place("AF_UNIX abstract");
    fc.assert(
      fc.property(name, (rest) => {
        const unique = place.fresh() as { path: string };
        const path = Buffer.from(unique.path + rest)
          .subarray(0, 100)
          .toString();
        fc.pre(bytesIn(path) <= 108);
        using socket = new Socket(AF_UNIX);
        socket.bind({ path });
        expect(socket.getsockname()).toEqual({ path });
      }),
    );
  });

  test("of 108 bytes survives bind and getsockname", () => {
    const path = `\0${process.pid}`.padEnd(108, "x");
    using socket = new Socket(AF_UNIX);
    socket.bind({ path });
    expect(socket.getsockname()).toEqual({ path });
  });

  test("differs from the same name with one more byte", () => {
    using place = new Place("AF_UNIX abstract");
    const { path } = place.fresh() as { path: string };
    using one = new Socket(AF_UNIX);
    using other = new Socket(AF_UNIX);
    one.bind({ path });
    other.bind({ path: `${path}\0` });
    expect(other.getsockname()).toEqual({ path: `${path}\0` });
  });
});

test("restores the empty path of an unnamed unix socket", () => {
  expect(roundTrip({ path: "" }, AF_UNIX)).toEqual({ path: "" });
});

test("decodeAddress never throws, whatever bytes it is given", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: ADDRESS_BYTES, maxLength: ADDRESS_BYTES }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.constantFrom(0, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_CAN, 0xffff),
      (bytes, length, family) => {
        const view = new DataView(bytes.buffer);
        view.setUint32(0, length, true);
        view.setUint16(4, family, true);
        const decoded = decodeAddress(sys, bytes);
        expect("path" in decoded || "family" in decoded).toBe(true);
        expect(formatAddress(decoded)).toBeString();
      },
    ),
    { numRuns: 500 },
  );
});
