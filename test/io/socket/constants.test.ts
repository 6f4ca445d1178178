// Checks constants.ts against this machine's headers, through Python's modules if Python is installed.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { constants as os } from "node:os";
import * as constants from "../../../src/kernel/constants.ts";
import { formatMask } from "../../../src/kernel/format-mask.ts";

setDefaultTimeout(60_000);

const numbers = Object.entries<unknown>(constants).filter(
  (entry): entry is [string, number] => typeof entry[1] === "number",
);

/** Constants that Python does not have, copied from the kernel's headers. */
const unknownToPython: Record<string, number> = {
  EPOLLNVAL: 0x20,
  EPOLL_URING_WAKE: 1 << 27,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
};

const python = Bun.which("python3");

describe.skipIf(python === null)("compared with Python", () => {
  test("all values are equal", () => {
    const script = `
import fcntl, json, os, select, signal, socket
known = {}
for module in (fcntl, os, select, signal, socket):
    known.update((name, int(value)) for name, value in vars(module).items() if isinstance(value, int))
print(json.dumps(known))`;
    const { stdout, stderr } = Bun.spawnSync([python ?? "", "-c", script]);
    expect(stderr.toString()).toBe("");
    const theirs = JSON.parse(stdout.toString()) as Record<string, number>;
    const compared = numbers.filter(([name]) => name in theirs && name !== "SOMAXCONN"); // a recommendation of libc
    // An old Python may lack some constants, but not all.
    expect(compared.length).toBeGreaterThan(70);
    expect(compared.filter(([name, value]) => theirs[name] !== value)).toEqual([]);
  });
});

test("the constants that Python does not have match the kernel headers", () => {
  const ours = Object.fromEntries(numbers);
  for (const [name, value] of Object.entries(unknownToPython)) expect([name, ours[name]]).toEqual([name, value]);
});

test("the signals match node:os", () => {
  expect([constants.SIGINT, constants.SIGTERM]).toEqual([os.signals.SIGINT, os.signals.SIGTERM]);
});

test("no constant is negative: EPOLLET is 2147483648", () => {
  expect(numbers.filter(([, value]) => value < 0 || !Number.isInteger(value))).toEqual([]);
  expect(constants.EPOLLET).toBe(2147483648);
});

test("each event bit has its own name", () => {
  const masks = numbers.filter(([name]) => /^EPOLL(?!_C)/.test(name));
  for (const [name, value] of masks) expect(formatMask(value)).toBe(name);
  expect(new Set(masks.map(([, value]) => value)).size).toBe(masks.length);
});
