// class MemFd: an anonymous file in memory, memfd_create(2), which can be shared by passing its file descriptor.

import { Buffer } from "node:buffer";
import { F_ADD_SEALS, F_GET_SEALS, MFD_ALLOW_SEALING, MFD_CLOEXEC } from "../kernel/constants.ts";
import { check, checkInteger, ErrnoError, invalidType } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { checkInt } from "../kernel/integers.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { adoptFd, type FileKind, type OpenFd, openOr, OwnedFd } from "./owned-fd.ts";
import { createBuffer, toBytes, transferLength } from "./transfer.ts";

const MEMFD: FileKind = ["a memfd", /^\/memfd:/];

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
  /** @internal takes ownership of an open file descriptor */
  constructor(name: string, open: OpenFd);
  constructor(name: string, open?: OpenFd) {
    if (typeof name !== "string" || name.includes("\0")) {
      throw invalidType("name", "a string without NUL characters", name);
    }
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    const create = (): number => check(syscalls().memfd_create(Buffer.from(`${name}\0`), flags), "memfd_create");
    super("MemFd", openOr(open, "second", create));
  }

  /**
   * Takes ownership of a memfd that was opened elsewhere.
   *
   * @param fd an open memfd
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor, or not a memfd
   */
  static fromfd(fd: number): MemFd {
    return new MemFd("", adoptFd(fd, MEMFD));
  }

  /** The size in bytes. */
  get size(): number {
    const fd = this.open("size");
    return withErrnoError(fd, () => nodeFs().fstatSync(fd).size);
  }

  /**
   * Sets the size: truncates the file, or extends it with zeros.
   *
   * @param size the new size in bytes, from 0 to 2^53 - 1
   * @throws {ErrnoError} EPERM if a seal forbids the change; EFBIG or EINVAL if the file would be too large
   * @throws {TypeError | RangeError} if the size is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see ftruncate(2)
   */
  truncate(size: number): void {
    checkInteger("size", size, 0, Number.MAX_SAFE_INTEGER);
    const fd = this.open("truncate");
    withErrnoError(fd, () => nodeFs().ftruncateSync(fd, size));
  }

  /**
   * Reads up to `size` bytes at `position`.
   *
   * @param position offset in the file, from 0 to 2^53 - 1
   * @param size maximum number of bytes, from 0 to 2147479552
   * @returns the bytes; an empty array at the end of the file
   * @throws {TypeError | RangeError} if an argument is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see pread(2)
   */
  read(position: number, size: number): Uint8Array {
    checkInteger("position", position, 0, Number.MAX_SAFE_INTEGER);
    const bytes = createBuffer(size);
    const fd = this.open("read");
    return bytes.subarray(
      0,
      withErrnoError(fd, () => nodeFs().readSync(fd, bytes, 0, size, position)),
    );
  }

  /**
   * Writes bytes at `position`.
   *
   * @param position offset in the file, from 0 to 2^53 - 1
   * @param data bytes, or a string, which is encoded as UTF-8
   * @returns the number of bytes that were written
   * @throws {ErrnoError} EPERM if a seal forbids writing; EFBIG or EINVAL if the file would be too large
   * @throws {TypeError | RangeError} if `data` is neither a string nor a Uint8Array, or `position` is not a number or out
   *   of range
   * @throws {ClosedError} if this object is closed
   * @see pwrite(2)
   */
  write(position: number, data: Uint8Array | string): number {
    checkInteger("position", position, 0, Number.MAX_SAFE_INTEGER);
    const bytes = toBytes(data);
    const fd = this.open("write");
    return withErrnoError(fd, () => nodeFs().writeSync(fd, bytes, 0, transferLength(bytes, "data"), position));
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
   * @throws {ErrnoError} EPERM after F_SEAL_SEAL; EBUSY for F_SEAL_WRITE while a writable mapping exists; EINVAL for
   *   bits that are not seals
   * @throws {TypeError | RangeError} if `seals` is not an integer, or out of range
   * @throws {ClosedError} if this object is closed
   * @see fcntl(2), F_ADD_SEALS
   */
  seal(seals: number): void {
    checkInt("seals", seals);
    const fd = this.open("seal");
    check(this.sys.fcntl(fd, F_ADD_SEALS, seals), "fcntl", fd);
  }
}

/** Calls a function of node:fs, whose errors have the code and the number of an ErrnoError but not its class. */
function withErrnoError<T>(fd: number, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { errno, syscall } = error as NodeJS.ErrnoException;
    if (errno === undefined || syscall === undefined) throw error;
    throw new ErrnoError(Math.abs(errno), syscall, { fd });
  }
}
