// Random access to the bytes of a file or buffer, so that only the needed parts of a large file are read.

import { nodeFs } from "../kernel/node-fs.ts";
import { ElfError } from "./elf-error.ts";

export interface ByteSource {
  /** The file's path, or a name for messages. */
  readonly path: string;
  /** The size in bytes. */
  readonly size: number;
  /**
   * Returns exactly `length` bytes.
   *
   * @throws {ElfError} ERR_ELF_TRUNCATED if the range extends beyond the end
   */
  read(offset: number, length: number): Uint8Array;
}

/** Returns the source for bytes in memory. */
export function memorySource(bytes: Uint8Array, path: string): ByteSource {
  const size = bytes.length;
  return {
    path,
    size,
    read(offset, length) {
      checkRange(path, size, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/**
 * Opens a file, passes it to `use`, and closes it.
 *
 * @throws {Error} Node's error, with `code` and `path`, if the file cannot be opened
 * @throws {ElfError} if it is not a regular file
 */
export function withFile<T>(path: string, use: (source: ByteSource) => T): T {
  const fs = nodeFs();
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) {
      const kind = stats.isDirectory() ? "a directory" : "not a regular file";
      throw new ElfError("ERR_NOT_ELF", path, `is ${kind}`, "pass the path of a shared object, such as addon.node");
    }
    return use({
      path,
      size: stats.size,
      read(offset, length) {
        checkRange(path, stats.size, offset, length);
        const bytes = new Uint8Array(length);
        let done = 0;
        while (done < length) {
          const count = fs.readSync(fd, bytes, done, length - done, offset + done);
          if (count === 0) throw truncated(path, offset + length, offset + done); // the file has shrunk
          done += count;
        }
        return bytes;
      },
    });
  } finally {
    fs.closeSync(fd);
  }
}

function checkRange(path: string, size: number, offset: number, length: number): void {
  if (offset + length > size) throw truncated(path, offset + length, size);
}

/** Returns the error for a file that is shorter than its header says. */
export function truncated(path: string, expected: number, size: number): ElfError {
  const reason = `is truncated: its header describes ${expected} bytes, but it has ${size}`;
  return new ElfError("ERR_ELF_TRUNCATED", path, reason);
}
