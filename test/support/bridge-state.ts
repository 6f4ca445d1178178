// What the bridge threads of this process are doing: waiting for events, or parked after handing some over.

import { readFileSync } from "node:fs";
import { eventually } from "./eventually.ts";
import { bridgeThreads } from "./threads.ts";

/** System call numbers of epoll_wait and epoll_pwait, and of futex, on which a parked thread waits. */
const WAITS = process.arch === "arm64" ? ["22"] : ["232", "281"];
const FUTEX = process.arch === "arm64" ? "98" : "202";

/** Waits until `count` bridge threads are blocked in epoll_wait. */
export async function untilWaiting(count: number): Promise<void> {
  await eventually(
    () => bridgeThreads().filter((id) => WAITS.includes(systemCall(id))).length,
    (waiting) => waiting === count,
  );
}

/** Blocks this thread until the bridge thread, the only one, has handed over events. */
export function blockUntilHandedOver(): void {
  const deadline = performance.now() + 30_000;
  while (!bridgeThreads().every((id) => systemCall(id) === FUTEX)) {
    if (performance.now() > deadline) throw new Error("the bridge thread has not handed over any events");
  }
}

/** Returns the number of the system call in which a thread is blocked; see proc_pid_syscall(5). */
function systemCall(id: string): string {
  try {
    return readFileSync(`/proc/self/task/${id}/syscall`, "utf8").split(" ")[0] ?? "";
  } catch {
    return ""; // it has just exited
  }
}
