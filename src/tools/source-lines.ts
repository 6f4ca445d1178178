// Source lines around a position such as `src/server/run-loop.ts:120`, for the debugger and the inspector.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { packageRoot } from "../kernel/package-root.ts";

export interface SourceLines {
  file: string;
  line: number;
  /** The number of the first line in `lines`. */
  first: number;
  lines: string[];
}

/** Splits `FILE:LINE`; returns undefined if the text has another form. */
export function parsePosition(position: string): { file: string; line: number } | undefined {
  const [, file, line] = /^(.*):(\d{1,6})$/.exec(position) ?? [];
  return file === undefined ? undefined : { file, line: Number(line) };
}

/**
 * Reads the line and up to `context` lines on either side of it. Paths in this package are relative to its directory; those of a
 * user program are absolute.
 *
 * @throws {Error} ENOENT, … if the file cannot be read
 */
export function readSourceLines(file: string, line: number, context: number): SourceLines {
  const all = readFileSync(resolve(packageRoot, file), "utf8").split("\n");
  const first = Math.max(1, line - context);
  return { file, line, first, lines: all.slice(first - 1, line + context) };
}
