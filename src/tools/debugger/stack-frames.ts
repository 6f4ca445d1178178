// The calls of a program that led to a pause, from the stack trace of an Error.

import { packageRoot } from "../../kernel/package-root.ts";
import type { StackFrame } from "./thread-messages.ts";

const MAX_FRAMES = 100;
/** Files that trace and debug: the innermost and the outermost frames are theirs, and are not shown. */
const DEBUGGER_FILES = /^src\/(?:trace|tools\/debugger)\//;
/** Files that make system calls on behalf of others. */
const WRAPPER_FILES = /^src\/(?:io|kernel)\//;
/** A stack frame, such as `at #receive (/path/src/server/run-loop.ts:247:12)` or `at /path/server.ts:3:1`. */
const FRAME = /^at (?:(.*?) \()?((?:\/|\w+:)[^()]*?):(\d+):\d+\)?$/;

/** Returns the calls of the program that led here, the innermost first. */
export function captureStack(): StackFrame[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = MAX_FRAMES;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = limit;
  const frames = stack.split("\n").flatMap((line) => parseFrame(line.trim()));
  const start = frames.findIndex(({ file }) => !DEBUGGER_FILES.test(file) && !WRAPPER_FILES.test(file));
  if (start < 0) return [];
  const end = frames.findIndex(({ file }, i) => i > start && DEBUGGER_FILES.test(file));
  return frames.slice(start, end < 0 ? undefined : end);
}

function parseFrame(text: string): StackFrame[] {
  const [, name = "", path, line] = FRAME.exec(text) ?? [];
  if (path === undefined || path.startsWith("native:") || path.startsWith("node:") || path.startsWith("bun:"))
    return [];
  const root = `${packageRoot}/`;
  const file = path.startsWith(`${root}src/`) ? path.slice(root.length) : path;
  return [{ name: name === "<anonymous>" ? "" : name, file, line: Number(line) }];
}
