// class MemFd: a file in memory, without a name, to share with whom it is passed to.

import { Buffer } from "node:buffer";
import { nodeFs } from "../kernel/node-fs.ts";
import { F_ADD_SEALS, F_GET_SEALS, MFD_ALLOW_SEALING, MFD_CLOEXEC } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { OwnedFd, takeOver } from "./owned-fd.ts";

/**
 * A file in memory. Always ready, and so not to be watched.
 *
 * @see memfd_create(2)
 */
export class MemFd extends OwnedFd {
  /**
   * @param name shown in /proc/self/fd, at most 249 bytes
   * @throws {ErrnoError} EINVAL if the name is too long; EMFILE, ENFILE, ENOMEM
   */
  constructor(name: string);
  /** @internal `fd` is taken over */
  constructor(name: string, fd?: number);
  constructor(name: string, fd?: number) {
    if (typeof name !== "string" || name.includes("\0")) throw new TypeError("a name is a string without NUL");
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    super(fd ?? check(syscalls().memfd_create(Buffer.from(`${name}\0`), flags), "memfd_create"));
  }

  /** Take over a memory file that came from elsewhere. */
  static fromfd(fd: number): MemFd {
    return new MemFd("", takeOver(fd));
  }

  get size(): number {
    return nodeFs().fstatSync(this.open("size")).size;
  }

  /** Make it so long: cut it, or fill it up with zeros. */
  truncate(size: number): void {
    nodeFs().ftruncateSync(this.open("truncate"), size);
  }

  /** Read up to `size` bytes from `position` on. */
  read(position: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, nodeFs().readSync(this.open("read"), bytes, 0, size, position));
  }

  /**
   * Write bytes at `position`.
   *
   * @returns how many
   * @throws {Error} EPERM if that is sealed
   */
  write(position: number, data: Uint8Array | string): number {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    return nodeFs().writeSync(this.open("write"), bytes, 0, bytes.length, position);
  }

  /** What is forbidden from now on, for everybody: F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL. */
  get seals(): number {
    const fd = this.open("seals");
    return check(syscalls().fcntl(fd, F_GET_SEALS, 0), "fcntl", fd);
  }

  /**
   * Forbid it.
   *
   * @throws {ErrnoError} EPERM after F_SEAL_SEAL; EBUSY if it is mapped for writing
   */
  seal(seals: number): void {
    const fd = this.open("seal");
    check(syscalls().fcntl(fd, F_ADD_SEALS, seals), "fcntl", fd);
  }
}
