// Where a held thread made a system call: the module and the offset in its file, as addr2line(1) takes it.

import { nodeFs } from "../../kernel/node-fs.ts";
import type { Registers } from "./call-record.ts";

/** A line of /proc/PID/maps: addresses, permissions, offset, device, inode, path. */
const MAPPING = /^([\da-f]+)-([\da-f]+) \S+ ([\da-f]+) \S+ \S+ +(\S.*)$/gm;

/** Returns the place, such as `libc.so.6+0x10e5de`; undefined if it is not in a file. @see proc_pid_maps(5) */
export function locate(pid: number, { pc }: Registers): string | undefined {
  let maps: string;
  try {
    maps = nodeFs().readFileSync(`/proc/${pid}/maps`, "utf8");
  } catch {
    return undefined; // it has ended
  }
  for (const [, start = "", end = "", offset = "", path = ""] of maps.matchAll(MAPPING)) {
    if (pc < BigInt(`0x${start}`) || pc >= BigInt(`0x${end}`)) continue;
    const inFile = pc - BigInt(`0x${start}`) + BigInt(`0x${offset}`);
    return `${path.slice(path.lastIndexOf("/") + 1)}+0x${inFile.toString(16)}`;
  }
  return undefined;
}
