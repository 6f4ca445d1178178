// The bridge threads of this process, to check that a test leaves none running.

import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { leavesNoFd } from "./fds.ts";

/** Returns the number of bridge threads. */
export function countBridgeThreads(): number {
  return bridgeThreads().length;
}

/** Returns the ids of the bridge threads. Unlike Bun's own threads, they block all signals. */
export function bridgeThreads(): string[] {
  return readdirSync("/proc/self/task").filter((id) => {
    try {
      const [, blocked = ""] =
        /^SigBlk:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/self/task/${id}/status`, "utf8")) ?? [];
      return (BigInt(`0x${blocked}`) & ALL) === ALL;
    } catch {
      return false; // it has just exited
    }
  });
}

/** All signals except SIGKILL, SIGSTOP and those that libc reserves for itself. */
const ALL = 0xffffffffffffffffn & ~((1n << 8n) | (1n << 18n) | (1n << 31n) | (1n << 32n) | (1n << 33n));

/** Runs `body` and asserts that it leaves no fd open and no bridge thread running. */
export async function leavesNothing(body: () => unknown): Promise<void> {
  await expectBridgeThreads(0);
  await leavesNoFd(body);
  await expectBridgeThreads(0);
}

/** Asserts the number of bridge threads, after waiting: a thread that was joined is still listed for a moment. */
export async function expectBridgeThreads(count: number): Promise<void> {
  for (let i = 0; countBridgeThreads() > count && i < 5_000; i++) await Bun.sleep(1);
  expect(countBridgeThreads()).toBe(count);
}
