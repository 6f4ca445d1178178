// Responses whose file must be inside a directory: symbolic links cannot lead out of it.

import { Buffer } from "node:buffer";
import { O_CLOEXEC } from "../../kernel/constants.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import { nodeFs } from "../../kernel/node-fs.ts";

// Flags of open(2) and openat2(2).
const O_PATH = 0x200000;
const RESOLVE_CACHED = 0x20;

const directories = new WeakMap<Response, string>();

/** Returns a response with a file, which is only sent if it is inside of a directory, both being resolved. */
export function confinedResponse(file: Blob, directory: string): Response {
  const response = new Response(file);
  directories.set(response, directory);
  return response;
}

/** Returns the directory that the file of a response must be in; undefined if it may be anywhere. */
export function directoryOf(response: Response): string | undefined {
  return directories.get(response);
}

/**
 * Returns whether an open file is inside of a directory. The file that was opened is what counts, not its path, which may be
 * that of another file now.
 */
export function isInside(sys: Syscalls, fd: number, directory: string): boolean {
  const path = Buffer.from(`${directory}\0`);
  // Opening the file has resolved the directory as well, so this does not wait for a disk.
  let top = sys.openat2(path, O_PATH | O_CLOEXEC, RESOLVE_CACHED);
  if (top < 0) top = sys.open(path, O_PATH | O_CLOEXEC);
  if (top < 0) return false;
  try {
    return pathOf(fd).startsWith(pathOf(top).replace(/\/?$/, "/"));
  } finally {
    sys.close(top);
  }
}

/** Returns the path of an open file, without symbolic links: proc_pid_fd(5). */
function pathOf(fd: number): string {
  return nodeFs().readlinkSync(`/proc/self/fd/${fd}`, "latin1"); // one character for each byte
}
