// The source line that made a system call, found in a stack trace.

import { packageRoot } from "../kernel/package-root.ts";

/** Files that make system calls on behalf of others: their frames are skipped. */
const WRAPPER_FILES = /src\/(?:trace\/[\w-]+|tools\/debugger\/debug-thread|io\/[\w-]+)\.ts$/;
/** A stack frame, such as `at #receive (/path/src/server/run-loop.ts:247:12)`. */
const FRAME = /\(?((?:\/|\w+:)[^()]*?):(\d+):\d+\)?$/;

/** Returns the innermost stack frame outside of the tracer and the classes in src/io, as `file:line`. */
export function callerLine(): string | undefined {
  const root = `${packageRoot}/`;
  const frames = (new Error().stack ?? "").split("\n").slice(1);
  for (const frame of frames) {
    const [, path = "", line] = FRAME.exec(frame.trim()) ?? [];
    if (path === "" || (path.startsWith(root) && WRAPPER_FILES.test(path))) continue;
    return `${path.startsWith(`${root}src/`) ? path.slice(root.length) : path}:${line}`;
  }
  return undefined;
}
