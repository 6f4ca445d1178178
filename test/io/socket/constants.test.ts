// Checks constants.ts against this machine's headers, through Python's modules if Python is installed.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { constants as os, tmpdir } from "node:os";
import { join } from "node:path";
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

const compiler = Bun.which("cc");

describe.skipIf(compiler === null)("compared with the headers of C", () => {
  test("all values are equal", () => {
    const headers = [
      "sys/socket.h",
      "netinet/in.h",
      "netinet/tcp.h",
      "netinet/udp.h",
      "sys/un.h",
      "sys/epoll.h",
      "sys/eventfd.h",
      "sys/inotify.h",
      "sys/timerfd.h",
      "sys/mman.h",
      "fcntl.h",
      "signal.h",
      "linux/netlink.h",
      "linux/errqueue.h",
      "linux/vm_sockets.h",
      "linux/can.h",
      "linux/if_packet.h",
      "linux/if_ether.h",
      "linux/net_tstamp.h",
    ];
    const lines = numbers.map(
      ([name]) => `#ifdef ${name}\n  printf("%s %lld\\n", "${name}", (long long)(unsigned)(${name}));\n#endif`,
    );
    const names = numbers
      .map(([name]) => name)
      .filter((name) => /^SOF_TIMESTAMPING_(?!BIND|OPT_(ID_TCP|RX))/.test(name));
    const enums = names.map((name) => `  printf("%s %lld\\n", "${name}", (long long)${name});`); // no macros
    const source = [
      "#define _GNU_SOURCE",
      "#include <stdio.h>",
      ...headers.map((name) => `#if __has_include(<${name}>)\n#include <${name}>\n#endif`),
    ];
    const program = [...source, "int main(void) {", ...lines, ...enums, "}"].join("\n");
    const binary = join(tmpdir(), `epoll-hello-constants-${process.pid}`);
    try {
      const compiled = Bun.spawnSync([compiler ?? "", "-w", "-x", "c", "-", "-o", binary], {
        stdin: Buffer.from(program),
      });
      expect(compiled.stderr.toString()).toBe("");
      const theirs = new Map(
        Bun.spawnSync([binary])
          .stdout.toString()
          .trim()
          .split("\n")
          .map((line) => [line.split(" ")[0], Number(line.split(" ")[1])]),
      );
      expect(theirs.size).toBeGreaterThan(200); // old headers may lack some
      const ours = numbers.filter(([name]) => name !== "SOMAXCONN"); // what libc recommends
      expect(ours.filter(([name, value]) => theirs.has(name) && theirs.get(name) !== value)).toEqual([]);
    } finally {
      rmSync(binary, { force: true });
    }
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
