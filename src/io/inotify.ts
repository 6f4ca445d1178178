// class Inotify: events of files and directories, inotify(7), as a file descriptor.

import { Buffer } from "node:buffer";
import { byteLengthOf } from "../kernel/byte-arrays.ts";
import * as constants from "../kernel/constants.ts";
import { check, ErrnoError, invalidType } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { check32Bit, checkInt } from "../kernel/integers.ts";
import { adoptFd, type FileKind, type OpenFd, openOr, OwnedFd } from "./owned-fd.ts";

const INOTIFY: FileKind = ["an inotify instance", /^anon_inode:inotify$/];

/** Enough for an event with the longest possible name, and usually for all pending events. */
const BUFFER_BYTES = 65_536;
const HEADER_BYTES = 16; // struct inotify_event { int wd; u32 mask, cookie, len; char name[len]; }

/** An event of a watched file or directory. `Name` is `Uint8Array` if `read` was asked for the bytes of names. */
export interface InotifyEvent<Name extends string | Uint8Array = string> {
  /** The watch descriptor that `add` returned; -1 for IN_Q_OVERFLOW. */
  wd: number;
  /** IN_CREATE, IN_MODIFY, …; can also contain IN_ISDIR, IN_IGNORED, IN_UNMOUNT and IN_Q_OVERFLOW. */
  mask: number;
  /** The same number in the IN_MOVED_FROM and IN_MOVED_TO events of one rename; otherwise 0. */
  cookie: number;
  /** The name of an entry of the watched directory; empty if the event is about the watched path itself. */
  name: Name;
}

/** Options of `Inotify.read`. */
export interface InotifyReadOptions {
  /**
   * `"utf8"` (the default) decodes names, which replaces bytes that are not UTF-8 with U+FFFD. `"buffer"` returns names
   * as bytes, as the options of node:fs do.
   */
  encoding?: "utf8" | "buffer" | undefined;
}

/**
 * Watches files and directories. It is readable when there are events.
 *
 * @see inotify(7)
 * @example
 * ```ts
 * const inotify = new Inotify();
 * inotify.add("/tmp", IN_CREATE | IN_DELETE);
 * watch(inotify, EPOLLIN, () => {
 *   for (const { mask, name } of inotify.read()) console.log(formatInotifyMask(mask), name);
 * });
 * ```
 */
export class Inotify extends OwnedFd {
  readonly #buffer = Buffer.from(new ArrayBuffer(BUFFER_BYTES));

  /**
   * Creates an inotify instance without watches.
   *
   * @throws {ErrnoError} EMFILE if the limit of open file descriptors or /proc/sys/fs/inotify/max_user_instances is
   *   reached
   * @throws {ErrnoError} ENFILE or ENOMEM if no file descriptor can be created
   */
  constructor();
  /** @internal takes ownership of an open file descriptor */
  constructor(open: OpenFd);
  constructor(open?: OpenFd) {
    const flags = constants.O_NONBLOCK | constants.O_CLOEXEC;
    super(
      "Inotify",
      openOr(open, "first", () => check(syscalls().inotify_init1(flags), "inotify_init1")),
    );
  }

  /**
   * Takes ownership of an inotify file descriptor that was opened elsewhere.
   *
   * @param fd an open inotify file descriptor
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor, or not an inotify instance
   */
  static fromfd(fd: number): Inotify {
    return new Inotify(adoptFd(fd, INOTIFY));
  }

  /**
   * Watches a path. If it is already watched, `mask` replaces the previous mask, unless it contains IN_MASK_ADD.
   *
   * @param path a file or directory, as a string or, for a name that is not UTF-8, as bytes; subdirectories are not
   *   watched
   * @param mask IN_CREATE, IN_MODIFY, …
   * @returns the watch descriptor, a number that identifies the watch in its events
   * @throws {ErrnoError} ENOENT if the path does not exist; EACCES if it is not readable; ENOTDIR with IN_ONLYDIR
   * @throws {ErrnoError} ENOSPC if the limit /proc/sys/fs/inotify/max_user_watches is reached; EINVAL if the mask is
   *   empty
   * @throws {TypeError | RangeError} if the path is neither a string nor a Uint8Array, or contains a NUL byte, or the
   *   mask is not a 32-bit integer
   * @throws {ClosedError} if this object is closed
   * @see inotify_add_watch(2)
   */
  add(path: string | Uint8Array, mask: number): number {
    const bytes = encodePath(path);
    check32Bit("mask", mask);
    const fd = this.open("add");
    const wd = this.sys.inotify_add_watch(fd, bytes, mask | 0);
    if (wd < 0)
      throw new ErrnoError(-wd, "inotify_add_watch", { fd, address: bytes.toString("utf8", 0, bytes.length - 1) });
    return wd;
  }

  /**
   * Removes a watch. Its last event is IN_IGNORED.
   *
   * @param wd the watch descriptor that `add` returned
   * @throws {ErrnoError} EINVAL if the watch does not exist
   * @throws {TypeError | RangeError} if `wd` is not an integer, or out of range
   * @throws {ClosedError} if this object is closed
   * @see inotify_rm_watch(2)
   */
  remove(wd: number): void {
    checkInt("wd", wd);
    const fd = this.open("remove");
    check(this.sys.inotify_rm_watch(fd, wd), "inotify_rm_watch", fd);
  }

  /**
   * Reads pending events, oldest first. If more than 64 KiB are pending, the next call reads the rest.
   *
   * @param options `encoding`: whether names are strings or bytes
   * @returns the events; `[]` if there are none
   * @throws {TypeError} if the encoding is neither "utf8" nor "buffer"
   * @throws {ClosedError} if this object is closed
   * @see inotify(7)
   */
  read(options?: InotifyReadOptions & { encoding?: "utf8" | undefined }): InotifyEvent[];
  read(options: InotifyReadOptions & { encoding: "buffer" }): InotifyEvent<Uint8Array>[];
  read(options: InotifyReadOptions = {}): InotifyEvent<string | Uint8Array>[] {
    const isBuffer = checkEncoding(options) === "buffer";
    const buffer = this.#buffer;
    const length = this.transfer("read", buffer);
    const events: InotifyEvent<string | Uint8Array>[] = [];
    for (let at = 0; at + HEADER_BYTES <= length;) {
      const start = at + HEADER_BYTES;
      const size = Math.min(buffer.readUInt32LE(at + 12), length - start);
      const padded = buffer.subarray(start, start + size); // with NUL bytes
      const end = padded.indexOf(0);
      const name = padded.subarray(0, end < 0 ? size : end);
      events.push({
        wd: buffer.readInt32LE(at),
        mask: buffer.readUInt32LE(at + 4),
        cookie: buffer.readUInt32LE(at + 8),
        name: isBuffer ? new Uint8Array(name) : name.toString("utf8"),
      });
      at = start + size;
    }
    return events;
  }
}

function encodePath(path: string | Uint8Array): Buffer {
  const expected = "a string or a Uint8Array without NUL bytes";
  const length = typeof path === "string" ? Buffer.byteLength(path) : byteLengthOf(path, "path", expected);
  const bytes = Buffer.alloc(length + 1); // with a terminating NUL
  if (typeof path === "string") bytes.write(path);
  else bytes.set(path);
  if (bytes.indexOf(0) !== length) throw invalidType("path", expected, path);
  return bytes;
}

function checkEncoding(options: InotifyReadOptions): "utf8" | "buffer" {
  if (typeof options !== "object" || options === null) throw invalidType("options", "{ encoding }", options);
  const { encoding = "utf8" } = options;
  if (encoding !== "utf8" && encoding !== "buffer") throw invalidType("encoding", '"utf8" or "buffer"', encoding);
  return encoding;
}

const maskNames = Object.entries(constants).filter(
  ([name, value]) => name.startsWith("IN_") && typeof value === "number" && (value & (value - 1)) === 0,
) as [string, number][];

/**
 * Formats an inotify mask by the names of its bits.
 *
 * @param mask the mask of an InotifyEvent
 * @returns the names joined by `|`; `"0"` for an empty mask
 * @throws {TypeError | RangeError} if the mask is not a 32-bit integer
 * @example
 * ```ts
 * formatInotifyMask(IN_CREATE | IN_ISDIR); // "IN_CREATE|IN_ISDIR"
 * ```
 */
export function formatInotifyMask(mask: number): string {
  check32Bit("mask", mask);
  const names = maskNames.filter(([, bit]) => (mask & bit) !== 0).map(([name]) => name);
  return names.length === 0 ? "0" : names.join("|");
}
