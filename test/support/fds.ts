// The open file descriptors of a process, to check that a test leaves none open.

import { expect } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { eventually } from "./eventually.ts";

/** Returns the open fds of a process and what they refer to, such as `socket:[123]` or `anon_inode:[eventpoll]`. */
export function openFds(pid: number | "self" = "self"): Map<number, string> {
  const fds = new Map<number, string>();
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      fds.set(Number(name), readlinkSync(`/proc/${pid}/fd/${name}`));
    } catch {
      // closed since readdir, such as the fd of the directory itself
    }
  }
  return fds;
}

/** Returns the flags of an open fd of this process: its file status flags, and O_CLOEXEC; see proc_pid_fdinfo(5). */
export function fdFlags(fd: number): number {
  const line = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"));
  return Number.parseInt(line?.[1] ?? "", 8);
}

/** Runs `body` and asserts that it leaves no additional fd open. */
export async function leavesNoFd(body: () => unknown): Promise<void> {
  const before = openFds();
  await body();
  const left = [...openFds()].filter(([fd, what]) => before.get(fd) !== what);
  expect(left).toEqual([]);
}

/** Like `leavesNoFd`, for a body that ends a thread: Bun closes the fds of the thread's event loop a little later. */
export async function eventuallyLeavesNoFd(body: () => unknown): Promise<void> {
  const before = openFds();
  await body();
  await eventually(
    () => [...openFds()].filter(([fd, what]) => before.get(fd) !== what),
    (left) => left.length === 0,
  );
}
