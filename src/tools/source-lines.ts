// Source lines around a position such as `src/server/run-loop.ts:120`, for the debugger and the inspector.

import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
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

/** The extensions of source files. A trace can name any file, such as /etc/passwd or .env. */
const SOURCE_FILE = /\.(?:[cm]?[jt]sx?|py|rb|php|lua|pl|c|h|cc|cpp|hpp|go|rs|java|zig)$/;
/** Larger files are not displayed. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Finds a source file of this package or of the program, whose name comes from a trace or from the inspector's page: other files must
 * not be disclosed.
 *
 * @param file an absolute path, or a path relative to this package's directory
 * @param program the file of the program, as the trace's `begin` event names it: only files below its directory are found
 * @returns the real path; undefined if the file doesn't exist or is anything else, also by way of a symbolic link
 */
export function findSourceFile(file: string, program: string | undefined): string | undefined {
  const path = realPath(resolve(packageRoot, file));
  if (path === undefined || !SOURCE_FILE.test(path)) return undefined;
  const directories = [packageRoot, ...(program === undefined || !isAbsolute(program) ? [] : [dirname(program)])];
  const isAllowed = directories.some((directory) => {
    const root = realPath(directory);
    return root !== undefined && root !== "/" && path.startsWith(`${root}/`);
  });
  if (!isAllowed && !(program !== undefined && path === realPath(program))) return undefined;
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() && stats.size <= MAX_BYTES ? path : undefined;
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Reads the line and up to `context` lines on either side of it. Paths in this package are relative to its directory; those of a
 * user program are absolute.
 *
 * @param file must come from a live program of the user, or have passed `findSourceFile`
 * @throws {Error} ENOENT, … if the file cannot be read
 */
export function readSourceLines(file: string, line: number, context: number): SourceLines {
  const all = readFileSync(resolve(packageRoot, file), "utf8").split(/\r?\n/);
  const first = Math.max(1, line - context);
  return { file, line, first, lines: all.slice(first - 1, line + context) };
}
