// class MemFd: an anonymous file in memory, memfd_create(2), which can be shared by passing its file descriptor.

import { Buffer } from "node:buffer";
import { F_ADD_SEALS, F_GET_SEALS, MFD_ALLOW_SEALING, MFD_CLOEXEC } from "../kernel/constants.ts";
import { check, invalidType } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { adoptFd, OwnedFd } from "./owned-fd.ts";
import { toBytes } from "./transfer.ts";

/**
 * An anonymous file in memory. Like a regular file it is always ready, so it cannot be watched with epoll.
 *
 * @see memfd_create(2)
 * @example
 * ```ts
 * using file = new MemFd("settings");
 * file.write(0, "{}");
 * file.seal(F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
 * socket.sendFds("settings", [file]); // over a unix socket
 * ```
 */
export class MemFd extends OwnedFd {
  /**
   * Creates an empty file, close-on-exec, which can be sealed.
   *
   * @param name the name shown in /proc/self/fd; at most 249 bytes, need not be unique
   * @throws {ErrnoError} EINVAL if the name is too long
   * @throws {ErrnoError} EMFILE, ENFILE or ENOMEM if no file descriptor can be created
   * @throws {TypeError} if the name is not a string, or contains a NUL character
   */
  constructor(name: string);
  /** @internal takes ownership of `fd` */
  constructor(name: string, fd?: number);
  constructor(name: string, fd?: number) {
    if (typeof name !== "string" || name.includes("\0")) {
      throw invalidType("name", "a string without NUL characters", name);
    }
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    super("MemFd", fd ?? check(syscalls().memfd_create(Buffer.from(`${name}\0`), flags), "memfd_create"));
  }

  /**
   * Takes ownership of a memfd that was opened elsewhere.
   *
   * @param fd an open memfd
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor
   */
  static fromfd(fd: number): MemFd {
    return new MemFd("", adoptFd(fd));
  }

  /** The size in bytes. */
  get size(): number {
    return nodeFs().fstatSync(this.open("size")).size;
  }

  /**
   * Sets the size: truncates the file, or extends it with zeros.
   *
   * @param size the new size in bytes
   * @throws {Error} EPERM if a seal forbids the change
   * @throws {ClosedError} if this object is closed
   * @see ftruncate(2)
   */
  truncate(size: number): void {
    nodeFs().ftruncateSync(this.open("truncate"), size);
  }

  /**
   * Reads up to `size` bytes at `position`.
   *
   * @param position offset in the file
   * @param size maximum number of bytes
   * @returns the bytes; an empty array at the end of the file
   * @throws {ClosedError} if this object is closed
   * @see pread(2)
   */
  read(position: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, nodeFs().readSync(this.open("read"), bytes, 0, size, position));
  }

  /**
   * Writes bytes at `position`.
   *
   * @param position offset in the file
   * @param data bytes, or a string, which is encoded as UTF-8
   * @returns the number of bytes that were written
   * @throws {Error} EPERM if a seal forbids writing
   * @throws {TypeError} if `data` is neither a string nor a Uint8Array
   * @throws {ClosedError} if this object is closed
   * @see pwrite(2)
   */
  write(position: number, data: Uint8Array | string): number {
    const bytes = toBytes(data);
    return nodeFs().writeSync(this.open("write"), bytes, 0, bytes.length, position);
  }

  /** The seals, which forbid operations to all processes: F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL. */
  get seals(): number {
    const fd = this.open("seals");
    return check(this.sys.fcntl(fd, F_GET_SEALS, 0), "fcntl", fd);
  }

  /**
   * Adds seals, which forbid operations to all processes and cannot be removed.
   *
   * @param seals F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, combined with `|`
   * @throws {ErrnoError} EPERM after F_SEAL_SEAL; EBUSY for F_SEAL_WRITE while a writable mapping exists
   * @throws {ClosedError} if this object is closed
   * @see fcntl(2), F_ADD_SEALS
   */
  seal(seals: number): void {
    const fd = this.open("seal");
    check(this.sys.fcntl(fd, F_ADD_SEALS, seals), "fcntl", fd);
  }
}
