// What a thread does: whether it runs or waits, and in which system call.

import { readFileSync } from "node:fs";
import { arch } from "node:process";

/** The names of system calls that block, by number. */
const BLOCKING_CALLS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  x64: {
    0: "read",
    1: "write",
    7: "poll",
    23: "select",
    35: "nanosleep",
    42: "connect",
    44: "sendto",
    45: "recvfrom",
    61: "wait4",
    202: "futex",
    230: "clock_nanosleep",
    232: "epoll_wait",
    247: "waitid",
    270: "pselect6",
    271: "ppoll",
    281: "epoll_pwait",
    288: "accept4",
    441: "epoll_pwait2",
  },
  arm64: {
    22: "epoll_pwait",
    63: "read",
    64: "write",
    72: "pselect6",
    73: "ppoll",
    95: "waitid",
    98: "futex",
    101: "nanosleep",
    115: "clock_nanosleep",
    203: "connect",
    206: "sendto",
    207: "recvfrom",
    242: "accept4",
    260: "wait4",
    441: "epoll_pwait2",
  },
};

/**
 * Returns `running`, or `blocked in nanosleep`; undefined if the thread has ended or /proc is not readable.
 *
 * @param pid its process; undefined: this one
 */
export function describeActivity(threadId: number, pid: number | undefined): string | undefined {
  try {
    const [word = ""] = readFileSync(`/proc/${pid ?? "self"}/task/${threadId}/syscall`, "utf8").split(" ");
    if (word.trim() === "running") return "running";
    const call = Number(word);
    if (call < 0) return "blocked";
    return `blocked in ${BLOCKING_CALLS[arch]?.[call] ?? `system call ${call}`}`;
  } catch {
    return undefined;
  }
}
