// The EPOLL constants, and formatting of masks and events.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import * as constants from "../../../src/kernel/constants.ts";
import {
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from "../../../src/kernel/constants.ts";
import { formatEvents, formatMask } from "../../../src/kernel/format-mask.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { everyFdIsClosed } from "../../support/descriptors.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

/** Copied from epoll_ctl(2) and <linux/eventpoll.h>. */
const masks: Record<string, number> = {
  EPOLLIN: 0x1,
  EPOLLPRI: 0x2,
  EPOLLOUT: 0x4,
  EPOLLERR: 0x8,
  EPOLLHUP: 0x10,
  EPOLLNVAL: 0x20,
  EPOLLRDNORM: 0x40,
  EPOLLRDBAND: 0x80,
  EPOLLWRNORM: 0x100,
  EPOLLWRBAND: 0x200,
  EPOLLMSG: 0x400,
  EPOLLRDHUP: 0x2000,
  EPOLL_URING_WAKE: 2 ** 27,
  EPOLLEXCLUSIVE: 2 ** 28,
  EPOLLWAKEUP: 2 ** 29,
  EPOLLONESHOT: 2 ** 30,
  EPOLLET: 2 ** 31,
};
const others: Record<string, number> = {
  EPOLL_CLOEXEC: 0o2000000,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
};
const ours = Object.fromEntries(Object.entries(constants).filter(([name]) => name.startsWith("EPOLL"))) as Record<
  string,
  number
>;

test("all EPOLL constants exist and have the right value", () => {
  expect(ours).toEqual({ ...masks, ...others });
});

const HEADER = "/usr/include/linux/eventpoll.h";

test.skipIf(!existsSync(HEADER))("the constants match the kernel header of this machine", () => {
  const header = new Map(
    [...readFileSync(HEADER, "utf8").matchAll(/^#define\s+(EPOLL\w+)\s+(.*\d.*)$/gm)].map(
      ([, name = "", text = ""]) => {
        const [, shift] = /1U?\s*<<\s*(\d+)/.exec(text) ?? [];
        const [number] = /0x[0-9a-f]+|\d+/i.exec(text) ?? [];
        return [name, shift === undefined ? Number(number) : 2 ** Number(shift)];
      },
    ),
  );
  expect(header.get("EPOLLIN")).toBe(1);
  const common = Object.keys(ours).filter((name) => header.has(name)); // older headers have fewer
  expect(common.length).toBeGreaterThan(10);
  for (const name of common) expect([name, ours[name]]).toEqual([name, header.get(name)]);
});

const python = Bun.spawnSync([
  "sh",
  "-c",
  `python3 -c 'import json, select; print(json.dumps({k: getattr(select, k) for k in dir(select) if k[:5] == "EPOLL"}))'`,
]);

test.skipIf(python.exitCode !== 0)("the constants match Python's select module", () => {
  const theirs = JSON.parse(python.stdout.toString()) as Record<string, number>;
  expect(theirs).toMatchObject({ EPOLLIN: 1 });
  for (const [name, value] of Object.entries(theirs)) expect([name, ours[name]]).toEqual([name, value]);
});

describe("formatMask", () => {
  test.each(Object.entries(masks))("formats %s", (name, mask) => {
    expect(formatMask(mask)).toBe(name);
  });

  test.each([
    [0, "0"],
    [EPOLLIN | EPOLLOUT, "EPOLLIN|EPOLLOUT"],
    [EPOLLOUT | EPOLLIN, "EPOLLIN|EPOLLOUT"],
    [EPOLLIN | EPOLLPRI | EPOLLOUT, "EPOLLIN|EPOLLPRI|EPOLLOUT"],
    [EPOLLERR | EPOLLHUP, "EPOLLERR|EPOLLHUP"],
    [EPOLLIN | EPOLLRDHUP, "EPOLLIN|EPOLLRDHUP"],
    [EPOLLIN | EPOLLEXCLUSIVE, "EPOLLIN|EPOLLEXCLUSIVE"],
    [8193, "EPOLLIN|EPOLLRDHUP"],
    [24, "EPOLLERR|EPOLLHUP"],
  ])("formats %p in the order of the header: %s", (mask, text) => {
    expect(formatMask(mask)).toBe(text);
  });

  test("formats a negative mask as unsigned", () => {
    expect(EPOLLIN | EPOLLET).toBeLessThan(0);
    expect(formatMask(EPOLLIN | EPOLLET)).toBe("EPOLLIN|EPOLLET");
    expect(formatMask((EPOLLIN | EPOLLET) >>> 0)).toBe("EPOLLIN|EPOLLET");
    expect(formatMask(EPOLLET | 0)).toBe("EPOLLET");
    expect(formatMask(EPOLLIN | EPOLLONESHOT | EPOLLET)).toBe("EPOLLIN|EPOLLONESHOT|EPOLLET");
  });

  test.each([
    [0x800, "0x800"],
    [0x4000, "0x4000"],
    [EPOLLIN | 0x800, "EPOLLIN|0x800"],
    [0x800 | 0x1000 | EPOLLHUP, "EPOLLHUP|0x1800"],
    [0x04000000 | EPOLLET, "EPOLLET|0x4000000"],
  ])("formats %p with unknown bits in hex at the end: %s", (mask, text) => {
    expect(formatMask(mask)).toBe(text);
  });

  test("formats each of the 32 bits once", () => {
    const text = formatMask(-1);
    expect(text).toBe(`${Object.keys(masks).join("|")}|0x7ffd800`);
    expect(formatMask(0xffffffff)).toBe(text);
  });

  test("the text of any mask can be parsed back", () => {
    for (let bit = 0; bit < 32; bit++) {
      for (let other = 0; other < 32; other++) {
        const mask = ((1 << bit) | (1 << other)) >>> 0;
        const read = formatMask(mask)
          .split("|")
          .reduce((sum, name) => sum + (masks[name] ?? Number(name)), 0);
        expect(read).toBe(mask);
      }
    }
  });
});

describe("formatEvents", () => {
  test("formats like Python, with masks by name", () => {
    expect(formatEvents([])).toBe("[]");
    expect(formatEvents([[5, EPOLLIN]])).toBe("[(5, EPOLLIN)]");
    expect(
      formatEvents([
        [3, EPOLLIN],
        [12, EPOLLIN | EPOLLOUT],
        [4, 0],
      ]),
    ).toBe("[(3, EPOLLIN), (12, EPOLLIN|EPOLLOUT), (4, 0)]");
  });

  test("accepts any iterable", () => {
    expect(formatEvents(new Map([[7, EPOLLHUP]]))).toBe("[(7, EPOLLHUP)]");
    expect(formatEvents(new EventList(1))).toBe("[]");
  });
});
