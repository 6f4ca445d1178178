// The prctl(2) call by which a program that blocks its event loop ends when its parent does.

import { dlopen } from "bun:ffi";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

/**
 * Makes the kernel kill this process when its parent exits. A process that blocks does not notice that a test run was
 * killed, and would outlive it.
 */
export function killWithParent(): void {
  dlopen("libc.so.6", { prctl: { args: ["i32", "u64"], returns: "i32" } }).symbols.prctl(PR_SET_PDEATHSIG, SIGKILL);
}
