// Source lines around a position such as `src/server/run-loop.ts:120`, for the debugger and the inspector.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Paths in this package are relative to this folder; those of a user program are absolute. */
const root = join(import.meta.dir, "../..");

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
 * Reads the line and up to `context` lines on either side of it.
 *
 * @throws {Error} ENOENT, … if the file cannot be read
 */
export function readSourceLines(file: string, line: number, context: number): SourceLines {
  const all = readFileSync(resolve(root, file), "utf8").split("\n");
  const first = Math.max(1, line - context);
  return { file, line, first, lines: all.slice(first - 1, line + context) };
}
