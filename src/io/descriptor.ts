// class Descriptor: any file descriptor that can be read and written, such as a terminal, a serial port or a pipe.

import { F_GETFD, F_GETFL, FD_CLOEXEC, O_CLOEXEC, O_NONBLOCK } from "../kernel/constants.ts";
import { check, invalidType } from "../kernel/errors.ts";
import { checkFd, setCloexec } from "../kernel/fd.ts";
import { syscalls, type Syscalls } from "../kernel/ffi.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { adoptFd, openFileName, OpenFd, OwnedFd } from "./owned-fd.ts";
import { checkBuffer, createBuffer, toBytes, WOULD_BLOCK } from "./transfer.ts";

const STANDARD_STREAMS = [0, 1, 2];
const O_ACCMODE = 3;
const O_NOCTTY = 0x100;

/** How to read and write without waiting. */
type Access =
  /** The file descriptor is non-blocking. */
  | { readonly kind: "non-blocking" }
  /** The same terminal, opened a second time: only this open file description is non-blocking. */
  | { readonly kind: "second"; readonly fd: number }
  /** The file descriptor stays blocking, and each call first asks whether it would wait. */
  | { readonly kind: "polled" };

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
  readonly #access: Access;

  /** @internal takes ownership of an open file descriptor */
  constructor(open: OpenFd, access: Access = { kind: "non-blocking" }) {
    if (!(open instanceof OpenFd)) {
      throw invalidType(
        "the first argument",
        "internal: to own an open file descriptor, use Descriptor.fromfd(fd)",
        open,
      );
    }
    super("Descriptor", open.fd);
    this.#access = access;
  }

  /**
   * Takes ownership of a file descriptor that was opened elsewhere. Its reads and writes never block.
   *
   * A file descriptor that this program has opened becomes non-blocking. One that it has inherited, such as standard
   * input, stays blocking, because O_NONBLOCK would also apply to the shell and its other commands: a terminal is opened
   * a second time, anything else is polled before each read and write. Both become close-on-exec.
   *
   * @param fd an open file descriptor
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor
   */
  static fromfd(fd: number): Descriptor {
    const sys = syscalls();
    const flags = check(sys.fcntl(checkFd(fd), F_GETFD, 0), "fcntl", fd);
    if (!isInherited(fd, flags)) return new Descriptor(adoptFd(fd));
    const access = sharedAccess(sys, fd);
    setCloexec(sys, fd);
    return new Descriptor(new OpenFd(fd), access);
  }

  /**
   * Gives up ownership: this object is closed, and the caller must close the file descriptor.
   *
   * @returns the file descriptor
   * @throws {ClosedError} if this object is closed
   */
  override detach(): number {
    const fd = super.detach();
    this.#closeSecond();
    return fd;
  }

  /**
   * Closes the file descriptor. Closing twice has no effect.
   *
   * @throws {ErrnoError} EBADF if the file descriptor was closed elsewhere
   * @see close(2)
   */
  override close(): void {
    if (this.closed) return;
    this.#closeSecond();
    super.close();
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
    const n = this.#transfer("read", buffer);
    return n === WOULD_BLOCK ? null : buffer.subarray(0, n);
  }

  /**
   * Reads into an existing buffer.
   *
   * @param buffer receives the bytes
   * @returns the number of bytes; 0 at the end of the stream; `WOULD_BLOCK` if nothing can be read yet
   * @throws {ErrnoError} as `read`
   * @throws {TypeError} if `buffer` is not a Uint8Array, or has no memory
   * @throws {ClosedError} if this object is closed
   * @see read(2)
   */
  readInto(buffer: Uint8Array): number {
    checkBuffer(buffer);
    return this.#transfer("read", buffer, "readInto");
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
    return this.#transfer("write", toBytes(data));
  }

  #transfer(call: "read" | "write", bytes: Uint8Array, method: string = call): number {
    const access = this.#access;
    switch (access.kind) {
      case "non-blocking":
        return this.transfer(call, bytes, method);
      case "second":
        return this.transfer(call, bytes, method, (_, length) => this.sys[call](access.fd, bytes, 0, length));
      case "polled":
        return this.transfer(call, bytes, method, (fd, length) => this.sys[`${call}_nowait`](fd, bytes, 0, length));
    }
  }

  #closeSecond(): void {
    if (this.#access.kind === "second") this.sys.close(this.#access.fd);
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
  return [new Descriptor(new OpenFd(fds[0] as number)), new Descriptor(new OpenFd(fds[1] as number))];
}

/**
 * Whether other processes probably share the open file description: everything that Bun, Node or this package opens is
 * close-on-exec, and a duplicate of a standard stream refers to the same file.
 */
function isInherited(fd: number, flags: number): boolean {
  if ((flags & FD_CLOEXEC) === 0) return true;
  const { dev, ino } = nodeFs().fstatSync(fd);
  return STANDARD_STREAMS.some((stream) => {
    try {
      const stat = nodeFs().fstatSync(stream);
      return stat.dev === dev && stat.ino === ino;
    } catch {
      return false; // closed
    }
  });
}

/** Returns how to use an fd that other processes share, without making it non-blocking for them. */
function sharedAccess(sys: Syscalls, fd: number): Access {
  const stat = nodeFs().fstatSync(fd);
  if (!stat.isCharacterDevice() && !stat.isFIFO() && (stat.isFile() || stat.isDirectory() || stat.isBlockDevice())) {
    return { kind: "non-blocking" }; // always ready: O_NONBLOCK has no effect on it
  }
  return (stat.isCharacterDevice() ? openTerminal(sys, fd, stat.rdev) : undefined) ?? { kind: "polled" };
}

/**
 * Opens a terminal a second time, so that only the second open file description is non-blocking. A write to a blocking
 * terminal can wait even though poll(2) has reported space, because there may be less than needed.
 */
function openTerminal(sys: Syscalls, fd: number, device: number): Access | undefined {
  if (!process.getBuiltinModule("node:tty").isatty(fd) || isMaster(fd)) return undefined;
  const mode = check(sys.fcntl(fd, F_GETFL, 0), "fcntl", fd) & O_ACCMODE;
  let second: number;
  try {
    second = nodeFs().openSync(`/proc/self/fd/${fd}`, mode | O_NOCTTY | O_NONBLOCK);
  } catch {
    return undefined; // another user's terminal, or there is no /proc
  }
  if (nodeFs().fstatSync(second).rdev === device) return { kind: "second", fd: second };
  nodeFs().closeSync(second);
  return undefined;
}

/** Whether this is the master of a pseudoterminal: opening it again would create another pseudoterminal. */
function isMaster(fd: number): boolean {
  return openFileName(fd)?.endsWith("/ptmx") !== false;
}
