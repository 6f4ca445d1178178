// Where a held thread made a system call.

import type { Registers } from "./call-record.ts";

/** Returns the place, such as `epoll_wait+0x5e in libc.so.6`; undefined if it is not known. */
export function locate(_pid: number, _registers: Registers): string | undefined {
  return undefined;
}
