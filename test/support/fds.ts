// The file descriptors that are open now: what a test leaves must be what it found.

import { expect } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";

/** fd → what it is (`socket:[123]`, `anon_inode:[eventpoll]`), of this process or another. */
export function openFds(pid: number | "self" = "self"): Map<number, string> {
  const fds = new Map<number, string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      fds.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      // closed meanwhile: the directory's own descriptor, for one
    }
  }
  return fds;
}

/** Run `body` and assert that it leaves no descriptor open that was not open before. */
export async function leavesNoFd(body: () => unknown): Promise<void> {
  const before = openFds();
  await body();
  const left = [...openFds()].filter(([fd, what]) => before.get(fd) !== what);
  expect(left).toEqual([]);
}
