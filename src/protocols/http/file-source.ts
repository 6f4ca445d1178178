// Opens and reads the files that responses send, without waiting for a disk or a file server.

import { Buffer } from "node:buffer";
import { O_CLOEXEC, O_NONBLOCK } from "../../kernel/constants.ts";
import { EAGAIN, EINTR, EINVAL, ENAMETOOLONG, ENOENT, ENOSYS, ENOTDIR, EOPNOTSUPP, EPERM } from "../../kernel/errno.ts";
import { ErrnoError } from "../../kernel/errors.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import { releaseBodyBuffer, takeBodyBuffer } from "./body-buffers.ts";
import type { BodySource } from "./body-source.ts";
import { BATCH_BYTES } from "./buffer-sizes.ts";
import { isInside } from "./confined-file.ts";

// Flags of open(2), openat2(2) and preadv2(2).
const O_NOCTTY = 0x100;
const O_PATH = 0x200000;
/** Fails with EAGAIN if the path is not in the kernel's cache. */
const RESOLVE_CACHED = 0x20;
/** Fails with EAGAIN if the data is not in the page cache. */
const RWF_NOWAIT = 0x8;

/** O_NONBLOCK and O_NOCTTY, in case the path becomes a FIFO or a terminal after its type was checked. */
const OPEN_FLAGS = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

/** The maximum number of bytes per read. */
const READ_BYTES = 262_144;
/** Files up to this size are read when they are opened. */
const SMALL_BYTES = BATCH_BYTES;

const NOTHING = new Uint8Array(0);

const fileTypes: Readonly<Record<number, string>> = {
  0x1000: "a FIFO",
  0x2000: "a character device",
  0x4000: "a directory",
  0x6000: "a block device",
  0x8000: "a regular file",
  0xc000: "a socket",
};

/** Thrown if the file of a response cannot be opened or read: `ENOENT: no such file or directory, open '/a.html'`. */
export class FileError extends ErrnoError {
  /** The file's path. */
  readonly path: string;

  constructor(errno: number, syscall: string, path: string) {
    super(errno, syscall);
    this.path = path;
    this.message += ` '${path}'`;
  }

  /** Whether there is no file with this path. */
  get isNotFound(): boolean {
    return [ENOENT, ENOTDIR, ENAMETOOLONG].includes(-this.errno);
  }
}

/** Thrown if the path of a response's file is that of something else. */
export class NotRegularFileError extends TypeError {
  readonly isDirectory: boolean;

  constructor(mode: number, path: string) {
    const type = mode & 0xf000;
    super(
      `${path} is not a regular file but ${fileTypes[type] ?? "of an unknown type"}; respond with a stream instead`,
    );
    this.isDirectory = type === 0x4000;
  }
}

/** The content of a small file, or the source of a large one. */
export type FileContent = Uint8Array | FileSource;

/** What `open` has opened: a file, or a slice of one. */
export interface OpenedFile {
  /** Where the slice begins in the file. */
  readonly start: number;
  /** The size of the slice in bytes. It is 0 for files in /proc, too, which have content. */
  readonly size: number;
  /** The size of the whole file in bytes. */
  readonly fileSize: number;
  /** When the file was modified, in nanoseconds since 1970. */
  readonly modifiedNs: bigint;
}

/** What is needed of an opened file: a part of it, relative to its start. `isSource`: as a source, even if it is small. */
export interface NeededPart {
  readonly start: number;
  readonly length: number;
  readonly isSource?: boolean;
}

type SelectPart = (file: OpenedFile) => NeededPart;

/** Opens files. */
export class FileOpener {
  /**
   * Whether promises that wait for I/O can settle, because Bun's event loop is running. Then Bun's thread pool waits for the
   * disk; otherwise this thread does.
   */
  canAwait: boolean = false;
  readonly sys: Syscalls;
  /** False on Linux before 5.12. */
  #hasCachedLookup = true;
  readonly #statBytes = new Uint8Array(new ArrayBuffer(256));
  readonly #stat = new DataView(this.#statBytes.buffer);

  constructor(sys: Syscalls) {
    this.sys = sys;
  }

  /**
   * Opens a regular file. If it is small and in the page cache, it is read and closed again.
   *
   * @param start the position of the first byte to send
   * @param length the number of bytes to send at most
   * @param select called once the file is open, unless its size is 0; the default is all that `start` and `length` allow
   * @param directory where the file must be; undefined: anywhere
   * @returns the content, or a source of it
   * @throws {FileError} ENOENT, EACCES, … if it cannot be opened
   * @throws {TypeError} if it is not a regular file: a FIFO, a device or a socket is never opened
   */
  open(
    path: string,
    start: number,
    length: number,
    select?: SelectPart,
    directory?: string,
  ): FileContent | Promise<FileContent> {
    const take = (fd: number): FileContent | Promise<FileContent> => {
      this.#assertInside(fd, path, directory);
      return this.#source(fd, path, start, length, select);
    };
    const bytes = Buffer.from(`${path}\0`);
    let fd = this.#hasCachedLookup ? this.#openRegular(bytes, path, RESOLVE_CACHED) : -EAGAIN;
    if (fd === -ENOSYS || fd === -EINVAL) this.#hasCachedLookup = false;
    if (fd === -EAGAIN || fd === -EOPNOTSUPP || fd === -EPERM || !this.#hasCachedLookup) {
      if (this.canAwait) return this.#openInThreadPool(path).then(take);
      fd = this.#openRegular(bytes, path, 0);
    }
    if (fd < 0) throw new FileError(-fd, "open", path);
    return take(fd);
  }

  /** @throws {FileError} ENOENT if a file that was opened is not inside of the directory: it is closed */
  #assertInside(fd: number, path: string, directory: string | undefined): void {
    if (directory === undefined) return;
    let isAllowed = false;
    try {
      isAllowed = isInside(this.sys, fd, directory);
    } finally {
      if (!isAllowed) this.sys.close(fd);
    }
    if (!isAllowed) throw new FileError(ENOENT, "open", path);
  }

  /** Opens a path after checking its type. Returns the fd, or -errno. */
  #openRegular(bytes: Uint8Array, path: string, resolve: number): number {
    const fd = this.#open(bytes, O_PATH | O_CLOEXEC, resolve);
    if (fd < 0) return fd;
    try {
      this.#assertRegular(fd, path);
    } finally {
      this.sys.close(fd);
    }
    return this.#open(bytes, OPEN_FLAGS, resolve);
  }

  #open(bytes: Uint8Array, flags: number, resolve: number): number {
    return resolve === 0 ? this.sys.open(bytes, flags) : this.sys.openat2(bytes, flags, resolve);
  }

  async #openInThreadPool(path: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    nodeFs().stat(path, (error, stat) => {
      if (error !== null) reject(fileError(error, "open", path));
      else if (!stat.isFile()) reject(new NotRegularFileError(stat.mode, path));
      else {
        nodeFs().open(path, OPEN_FLAGS, (failure, fd) => {
          if (failure !== null) return reject(fileError(failure, "open", path));
          this.sys.own(fd); // if this is a Worker that is terminated, its end closes the fd
          resolve(fd);
        });
      }
    });
    return promise;
  }

  /** Takes ownership of an fd. */
  #source(
    fd: number,
    path: string,
    start: number,
    length: number,
    select: SelectPart | undefined,
  ): FileContent | Promise<FileContent> {
    try {
      const fileSize = this.#assertRegular(fd, path); // again: another file may have this path now
      const opened: OpenedFile = {
        start,
        size: Math.max(0, Math.min(length, fileSize - start)),
        fileSize,
        modifiedNs: this.#stat.getBigInt64(112, true) * 1_000_000_000n + BigInt(this.#stat.getUint32(120, true)),
      };
      const part = (opened.size > 0 ? select?.(opened) : undefined) ?? { start: 0, length: opened.size };
      if (part.length === 0 && opened.size > 0) {
        this.sys.close(fd);
        return NOTHING;
      }
      const position = start + part.start;
      if (part.length > 0 && part.length <= SMALL_BYTES && part.isSource !== true) {
        const bytes = Buffer.allocUnsafeSlow(part.length);
        if (this.pread(fd, bytes, part.length, position, RWF_NOWAIT) === part.length) {
          this.sys.close(fd);
          return bytes;
        }
      }
      const source = new FileSource(this, fd, path, position, part.length);
      return fileSize === 0 && length > 0 ? source.withoutSize() : source;
    } catch (error) {
      this.sys.close(fd);
      throw error;
    }
  }

  pread(fd: number, bytes: Uint8Array, length: number, position: number, flags: number): number {
    return this.sys.preadv2(fd, bytes, length, position | 0, Math.floor(position / 2 ** 32), flags);
  }

  /** Returns the size of an open file. */
  #assertRegular(fd: number, path: string): number {
    const stat = this.#stat;
    const n = this.sys.statx(fd, this.#statBytes);
    if (n < 0) throw new FileError(-n, "statx", path);
    const mode = stat.getUint16(28, true);
    if ((mode & 0xf000) !== 0x8000) throw new NotRegularFileError(mode, path);
    return Number(stat.getBigUint64(40, true));
  }
}

/** Reads a regular file. */
export class FileSource implements BodySource {
  readonly isBufferReused: boolean = true;
  /** The number of bytes to send; -1 if it is unknown. */
  size: number;
  readonly #opener: FileOpener;
  readonly #fd: number;
  readonly #path: string;
  #position: number;
  /** Infinity if the size is unknown. */
  #remaining: number;
  #buffer: Buffer | undefined;
  /** A piece that was read before the first `read`. */
  #first: Uint8Array | undefined;
  #isReading = false;
  #isCanceled = false;

  constructor(opener: FileOpener, fd: number, path: string, start: number, size: number) {
    this.#opener = opener;
    this.#fd = fd;
    this.#path = path;
    this.#position = start;
    this.size = this.#remaining = size;
  }

  /** Files in /proc have content although their size is 0. Their content is sent until its end. */
  withoutSize(): FileSource | Promise<FileSource> {
    this.#remaining = Infinity;
    const decide = (first: Uint8Array | undefined): FileSource => {
      this.#first = first;
      this.size = first === undefined ? 0 : -1;
      if (first === undefined) this.#remaining = 0;
      return this;
    };
    const first = this.#readPiece();
    if (!(first instanceof Promise)) return decide(first);
    return first.then(decide, (error) => {
      this.cancel();
      throw error;
    });
  }

  /** Continues at another position: the next `read` returns the first of `length` bytes from there. */
  seek(position: number, length: number): void {
    this.#position = position;
    this.#remaining = length;
  }

  read(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const first = this.#first;
    this.#first = undefined;
    return first ?? this.#readPiece();
  }

  cancel(): void {
    if (this.#isCanceled) return;
    this.#isCanceled = true;
    if (!this.#isReading) this.#opener.sys.close(this.#fd);
  }

  #readPiece(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (this.#remaining === 0) return this.#end();
    this.#buffer ??= takeBodyBuffer(Math.min(this.#remaining, READ_BYTES)); // only what was read is sent
    const length = Math.min(this.#buffer.length, this.#remaining);
    let n = this.#opener.pread(this.#fd, this.#buffer, length, this.#position, RWF_NOWAIT);
    if (n === -EAGAIN || n === -EINTR || n === -EOPNOTSUPP || n === -EINVAL || n === -ENOSYS) {
      if (this.#opener.canAwait) return this.#readInThreadPool(this.#buffer, length);
      n = this.#opener.pread(this.#fd, this.#buffer, length, this.#position, 0);
    }
    if (n < 0) throw new FileError(-n, "read", this.#path);
    return this.#piece(n);
  }

  async #readInThreadPool(buffer: Uint8Array, length: number): Promise<Uint8Array | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#isReading = true;
    nodeFs().read(this.#fd, buffer, 0, length, this.#position, (error, count) => {
      this.#isReading = false;
      if (this.#isCanceled) this.#opener.sys.close(this.#fd); // not earlier: its number could have been reused
      if (error === null) resolve(count);
      else reject(fileError(error, "read", this.#path));
    });
    return this.#piece(await promise);
  }

  #piece(count: number): Uint8Array | undefined {
    if (count === 0) {
      if (this.#remaining !== Infinity) {
        throw new Error(`${this.#path} was truncated while it was being sent: ${this.#remaining} bytes are missing`);
      }
      return this.#end();
    }
    this.#position += count;
    this.#remaining -= count;
    return (this.#buffer as Uint8Array).subarray(0, count);
  }

  /** All of it was read, and the last piece was sent. */
  #end(): undefined {
    if (this.#buffer !== undefined && !this.#isCanceled) releaseBodyBuffer(this.#buffer);
    this.#buffer = undefined;
    this.cancel();
  }
}

function fileError(error: NodeJS.ErrnoException, syscall: string, path: string): Error {
  return error.errno === undefined ? error : new FileError(-error.errno, syscall, path);
}
