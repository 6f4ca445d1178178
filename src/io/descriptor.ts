// class Descriptor: an owned, non-blocking file descriptor of any kind: a terminal, a serial device, a GPIO line, a pipe.

import { Buffer } from "node:buffer";
import { O_CLOEXEC, O_NONBLOCK } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { WOULD_BLOCK } from "./socket.ts";
import { MAX_BYTES, OwnedFd, takeOver } from "./owned-fd.ts";

/**
 * A descriptor whose bytes are read and written. That never blocks.
 *
 * @example
 * ```ts
 * const port = Descriptor.fromfd(openSync("/dev/ttyUSB0", constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
 * watch(port, EPOLLIN, () => console.log(port.read(1024)));
 * ```
 */
export class Descriptor extends OwnedFd {
  /**
   * Take over a descriptor that was opened elsewhere; it becomes non-blocking and close-on-exec.
   *
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is no descriptor's number
   */
  static fromfd(fd: number): Descriptor {
    return new Descriptor(takeOver(fd));
  }

  /**
   * Read up to `size` bytes.
   *
   * @returns the bytes, none at the end; `null` if there is nothing yet
   * @throws {ErrnoError} EBADF if it is open for writing only; EINVAL, EIO, … as its kind has it
   * @see read(2)
   */
  read(size: number): Uint8Array | null {
    if (!Number.isInteger(size) || size < 0 || size > MAX_BYTES) {
      throw new RangeError(`a size is a whole number of bytes from 0 to ${MAX_BYTES}, not ${String(size)}`);
    }
    const buffer = new Uint8Array(new ArrayBuffer(size));
    const n = this.transfer("read", buffer);
    return n === WOULD_BLOCK ? null : buffer.subarray(0, n);
  }

  /**
   * Read into a buffer of the caller's.
   *
   * @returns how many bytes, 0 at the end; `WOULD_BLOCK` if there is nothing yet
   * @throws {ErrnoError} as `read`
   * @see read(2)
   */
  readInto(buffer: Uint8Array): number {
    if (!(buffer instanceof Uint8Array)) throw new TypeError("a buffer is a Buffer or a Uint8Array");
    return this.transfer("readInto", buffer);
  }

  /**
   * Write bytes.
   *
   * @returns how many were taken, perhaps not all; `WOULD_BLOCK` if there is no room at all
   * @throws {ErrnoError} EPIPE if nobody will read them (SIGPIPE is ignored by Bun); EBADF if it is open for reading only
   * @see write(2)
   */
  write(data: Uint8Array | string): number {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (!(bytes instanceof Uint8Array)) throw new TypeError("data is a string, a Buffer or a Uint8Array");
    return this.transfer("write", bytes);
  }
}

/**
 * Create a pipe.
 *
 * @returns its reading and its writing end
 * @throws {ErrnoError} EMFILE, ENFILE
 * @see pipe(7)
 */
export function pipe(): [reader: Descriptor, writer: Descriptor] {
  const fds = new Int32Array(new ArrayBuffer(8));
  check(syscalls().pipe2(fds, O_NONBLOCK | O_CLOEXEC), "pipe2");
  return [new Descriptor(fds[0] as number), new Descriptor(fds[1] as number)];
}
