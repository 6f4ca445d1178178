// class Descriptor: any file descriptor that can be read and written, such as a terminal, a serial port or a pipe.

import { O_CLOEXEC, O_NONBLOCK } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { adoptFd, OwnedFd } from "./owned-fd.ts";
import { checkBuffer, createBuffer, toBytes, WOULD_BLOCK } from "./transfer.ts";

/**
 * An owned, non-blocking file descriptor with `read` and `write`.
 *
 * @example
 * ```ts
 * const { O_RDWR, O_NOCTTY, O_NONBLOCK } = constants; // of node:fs
 * const port = Descriptor.fromfd(openSync("/dev/ttyUSB0", O_RDWR | O_NOCTTY | O_NONBLOCK));
 * watch(port, EPOLLIN, () => console.log(port.read(1024)));
 * ```
 */
export class Descriptor extends OwnedFd {
  /** @internal takes ownership of `fd`, which is already non-blocking */
  constructor(fd: number) {
    super("Descriptor", fd);
  }

  /**
   * Takes ownership of a file descriptor that was opened elsewhere, and makes it non-blocking and close-on-exec.
   *
   * @param fd an open file descriptor
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor
   */
  static fromfd(fd: number): Descriptor {
    return new Descriptor(adoptFd(fd));
  }

  /**
   * Reads up to `size` bytes.
   *
   * @param size maximum number of bytes, from 0 to 2147479552
   * @returns the bytes; an empty array at the end of the stream; `null` if nothing can be read yet
   * @throws {ErrnoError} EBADF if the file descriptor is not open for reading; EIO, EINVAL, … depending on its kind
   * @throws {TypeError | RangeError} if the size is not a number or out of range
   * @throws {ClosedError} if this object is closed
   * @see read(2)
   */
  read(size: number): Uint8Array | null {
    const buffer = createBuffer(size);
    const n = this.transfer("read", buffer);
    return n === WOULD_BLOCK ? null : buffer.subarray(0, n);
  }

  /**
   * Reads into an existing buffer.
   *
   * @param buffer receives the bytes
   * @returns the number of bytes; 0 at the end of the stream; `WOULD_BLOCK` if nothing can be read yet
   * @throws {ErrnoError} as `read`
   * @throws {TypeError} if `buffer` is not a Uint8Array
   * @throws {ClosedError} if this object is closed
   * @see read(2)
   */
  readInto(buffer: Uint8Array): number {
    checkBuffer(buffer);
    return this.transfer("read", buffer, "readInto");
  }

  /**
   * Writes bytes.
   *
   * @param data bytes, or a string, which is encoded as UTF-8
   * @returns the number of bytes written, possibly fewer than given; `WOULD_BLOCK` if there is no space
   * @throws {ErrnoError} EPIPE if the read end of the pipe is closed (Bun ignores SIGPIPE)
   * @throws {ErrnoError} EBADF if the file descriptor is not open for writing
   * @throws {TypeError} if `data` is neither a string nor a Uint8Array
   * @throws {ClosedError} if this object is closed
   * @see write(2)
   */
  write(data: Uint8Array | string): number {
    return this.transfer("write", toBytes(data));
  }
}

/**
 * Creates a pipe. Both ends are non-blocking and close-on-exec.
 *
 * @returns the read end and the write end
 * @throws {ErrnoError} EMFILE or ENFILE if the limit of open file descriptors is reached
 * @see pipe(2), pipe(7)
 * @example
 * ```ts
 * const [reader, writer] = pipe();
 * writer.write("hello");
 * reader.read(100);
 * ```
 */
export function pipe(): [reader: Descriptor, writer: Descriptor] {
  const fds = new Int32Array(new ArrayBuffer(8));
  check(syscalls().pipe2(fds, O_NONBLOCK | O_CLOEXEC), "pipe2");
  return [new Descriptor(fds[0] as number), new Descriptor(fds[1] as number)];
}
