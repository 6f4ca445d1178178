// class Inotify: events of files and directories, inotify(7), as a file descriptor.

import { Buffer } from "node:buffer";
import * as constants from "../kernel/constants.ts";
import { check, ErrnoError, invalidType } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { adoptFd, OwnedFd } from "./owned-fd.ts";
import { WOULD_BLOCK } from "./transfer.ts";

/** Enough for an event with the longest possible name, and usually for all pending events. */
const BUFFER_BYTES = 65_536;
const HEADER_BYTES = 16; // struct inotify_event { int wd; u32 mask, cookie, len; char name[len]; }

/** An event of a watched file or directory. */
export interface InotifyEvent {
  /** The watch descriptor that `add` returned; -1 for IN_Q_OVERFLOW. */
  wd: number;
  /** IN_CREATE, IN_MODIFY, …; can also contain IN_ISDIR, IN_IGNORED, IN_UNMOUNT and IN_Q_OVERFLOW. */
  mask: number;
  /** The same number in the IN_MOVED_FROM and IN_MOVED_TO events of one rename; otherwise 0. */
  cookie: number;
  /** The name of an entry of the watched directory; empty if the event is about the watched path itself. */
  name: string;
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
  /** @internal takes ownership of `fd` */
  constructor(fd?: number);
  constructor(fd?: number) {
    super(
      "Inotify",
      fd ?? check(syscalls().inotify_init1(constants.O_NONBLOCK | constants.O_CLOEXEC), "inotify_init1"),
    );
  }

  /**
   * Takes ownership of an inotify file descriptor that was opened elsewhere.
   *
   * @param fd an open inotify file descriptor
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor
   */
  static fromfd(fd: number): Inotify {
    return new Inotify(adoptFd(fd));
  }

  /**
   * Watches a path. If it is already watched, `mask` replaces the previous mask, unless it contains IN_MASK_ADD.
   *
   * @param path a file or directory; subdirectories are not watched
   * @param mask IN_CREATE, IN_MODIFY, …
   * @returns the watch descriptor, a number that identifies the watch in its events
   * @throws {ErrnoError} ENOENT if the path does not exist; EACCES if it is not readable; ENOTDIR with IN_ONLYDIR
   * @throws {ErrnoError} ENOSPC if the limit /proc/sys/fs/inotify/max_user_watches is reached; EINVAL if the mask is
   *   empty
   * @throws {TypeError} if the path is not a string, or contains a NUL character
   * @throws {ClosedError} if this object is closed
   * @see inotify_add_watch(2)
   */
  add(path: string, mask: number): number {
    const fd = this.open("add");
    if (typeof path !== "string" || path.includes("\0")) {
      throw invalidType("path", "a string without NUL characters", path);
    }
    const wd = this.sys.inotify_add_watch(fd, Buffer.from(`${path}\0`), mask | 0);
    if (wd < 0) throw new ErrnoError(-wd, "inotify_add_watch", { fd, address: path });
    return wd;
  }

  /**
   * Removes a watch. Its last event is IN_IGNORED.
   *
   * @param wd the watch descriptor that `add` returned
   * @throws {ErrnoError} EINVAL if the watch does not exist
   * @throws {ClosedError} if this object is closed
   * @see inotify_rm_watch(2)
   */
  remove(wd: number): void {
    const fd = this.open("remove");
    check(this.sys.inotify_rm_watch(fd, wd), "inotify_rm_watch", fd);
  }

  /**
   * Reads pending events, oldest first. If more than 64 KiB are pending, the next call reads the rest.
   *
   * @returns the events; `[]` if there are none
   * @throws {ClosedError} if this object is closed
   * @see inotify(7)
   */
  read(): InotifyEvent[] {
    const buffer = this.#buffer;
    const length = this.transfer("read", buffer);
    const events: InotifyEvent[] = [];
    if (length === WOULD_BLOCK) return events;
    for (let at = 0; at < length;) {
      const size = buffer.readUInt32LE(at + 12);
      const name = buffer.subarray(at + HEADER_BYTES, at + HEADER_BYTES + size); // padded with NUL bytes
      const end = name.indexOf(0);
      events.push({
        wd: buffer.readInt32LE(at),
        mask: buffer.readUInt32LE(at + 4),
        cookie: buffer.readUInt32LE(at + 8),
        name: name.toString("utf8", 0, end < 0 ? size : end),
      });
      at += HEADER_BYTES + size;
    }
    return events;
  }
}

const maskNames = Object.entries(constants).filter(
  ([name, value]) => name.startsWith("IN_") && typeof value === "number" && (value & (value - 1)) === 0,
) as [string, number][];

/**
 * Formats an inotify mask by the names of its bits.
 *
 * @param mask the mask of an InotifyEvent
 * @returns the names joined by `|`; `"0"` for an empty mask
 * @example
 * ```ts
 * formatInotifyMask(IN_CREATE | IN_ISDIR); // "IN_CREATE|IN_ISDIR"
 * ```
 */
export function formatInotifyMask(mask: number): string {
  const names = maskNames.filter(([, bit]) => (mask & bit) !== 0).map(([name]) => name);
  return names.length === 0 ? "0" : names.join("|");
}
