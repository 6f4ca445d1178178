// Addresses as text: node:net accepts the same ones, and they are formatted as by inet_ntop(3).

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { isIPv4, isIPv6 } from "node:net";
import { addressBuffer, decodeAddress, encodeAddress, familyOf } from "../../../src/kernel/address.ts";
import { AF_INET, AF_INET6 } from "../../../src/kernel/constants.ts";
import { syscalls } from "../../../src/kernel/ffi.ts";

setDefaultTimeout(60_000);

const sys = syscalls();

function accepts(text: string, family: number): boolean {
  try {
    encodeAddress(sys, { address: text, port: 0 }, family);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return false;
  }
}

/** Texts that resemble addresses, some of which are valid. */
const nearly4 = fc
  .array(fc.oneof(fc.nat(300).map(String), fc.constantFrom("", "00", "01", "0x7f", "-1", "1e1", " 1", "٣")), {
    minLength: 1,
    maxLength: 5,
  })
  .map((parts) => parts.join("."));
const nearly6 = fc
  .array(
    fc.oneof(
      fc.nat(0x1ffff).map((n) => n.toString(16)),
      fc.constantFrom("", "", "0", "0000", "g", "1.2.3.4"),
    ),
    {
      minLength: 1,
      maxLength: 10,
    },
  )
  .map((parts) => parts.join(":"));

test("an AF_INET socket accepts exactly the texts for which isIPv4 of node:net is true", () => {
  fc.assert(
    fc.property(fc.oneof(nearly4, fc.ipV4(), fc.ipV4Extended(), fc.string()), (text) => {
      expect(accepts(text, AF_INET)).toBe(isIPv4(text));
    }),
    { numRuns: 2000 },
  );
});

test("an AF_INET6 socket accepts exactly the texts for which isIPv6 of node:net is true, apart from zones", () => {
  fc.assert(
    fc.property(fc.oneof(nearly6, fc.ipV6(), fc.string()), (text) => {
      fc.pre(!text.includes("%"));
      expect(accepts(text, AF_INET6)).toBe(isIPv6(text));
    }),
    { numRuns: 2000 },
  );
});

test("familyOf returns the family of an address, and 0 for a name", () => {
  fc.assert(
    fc.property(fc.oneof(nearly4, nearly6, fc.ipV4(), fc.ipV6(), fc.domain(), fc.string()), (text) => {
      fc.pre(!text.includes("%"));
      expect(familyOf(sys, text)).toBe(isIPv4(text) ? AF_INET : isIPv6(text) ? AF_INET6 : 0);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ["127.0.0.1", AF_INET],
  ["::1", AF_INET6],
  ["fe80::1%eth0", AF_INET6],
  ["fe80::1%1", AF_INET6],
  ["127.0.0.1%lo", 0],
  ["localhost", 0],
  ["", 0],
  ["127.0.0.1\0", 0],
  ["::1\0", 0],
  ["[::1]", 0],
  ["127.1", 0],
])("familyOf(%j) is %d", (host, family) => {
  expect(familyOf(sys, host)).toBe(family);
});

describe("formats IPv6 addresses like inet_ntop(3):", () => {
  test.each([
    ["0:0:0:0:0:0:0:1", "::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["2001:DB8::A", "2001:db8::a"],
    ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["::FFFF:127.0.0.1", "::ffff:127.0.0.1"],
    ["::ffff:7f00:1", "::ffff:127.0.0.1"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
  ])("%s as %s", (text, canonical) => {
    expect(decodeAddress(sys, encodeAddress(sys, { address: text, port: 1 }, AF_INET6))).toEqual({
      address: canonical,
      port: 1,
      family: "IPv6",
    });
  });
});

test("decodes an address of another family as bytes, and no address as an empty path", () => {
  const buffer = addressBuffer();
  buffer.set([6, 0, 0, 0, 0x34, 0x12, 1, 2, 3, 4]);
  expect(decodeAddress(sys, buffer)).toEqual({ family: 0x1234, bytes: Uint8Array.of(1, 2, 3, 4) });
  buffer.set([0]);
  expect(decodeAddress(sys, buffer)).toEqual({ path: "" });
});
