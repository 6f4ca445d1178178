// The threads of this process that are not Bun's own: what a test leaves must be what it found.

import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { leavesNoFd } from "./fds.ts";

/** How many threads wait for Bun's loop: those that block every signal that can be blocked. */
export function waitingThreads(): number {
  return readdirSync("/proc/self/task").filter((id) => {
    try {
      const [, blocked = ""] =
        /^SigBlk:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/self/task/${id}/status`, "utf8")) ?? [];
      return (BigInt(`0x${blocked}`) & ALL) === ALL;
    } catch {
      return false; // it has just ended
    }
  }).length;
}

/** All but SIGKILL, SIGSTOP, and the two that libc keeps for itself. */
const ALL = 0xffffffffffffffffn & ~((1n << 8n) | (1n << 18n) | (1n << 31n) | (1n << 32n) | (1n << 33n));

/** Run `body` and assert that it leaves neither a descriptor nor a thread. */
export async function leavesNothing(body: () => unknown): Promise<void> {
  await waitingThreadsAre(0);
  await leavesNoFd(body);
  await waitingThreadsAre(0);
}

/** Assert how many there are. One that was joined is listed for a moment more. */
export async function waitingThreadsAre(count: number): Promise<void> {
  for (let i = 0; waitingThreads() > count && i < 5_000; i++) await Bun.sleep(1);
  expect(waitingThreads()).toBe(count);
}
