// class Inotify: what happens to files and folders.

import { Buffer } from "node:buffer";
import * as constants from "../kernel/constants.ts";
import { check, ErrnoError } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { WOULD_BLOCK } from "./socket.ts";
import { OwnedFd, takeOver } from "./owned-fd.ts";

/** One read brings so much: at least an event with the longest name, most often all that there are. */
const BUFFER_BYTES = 65_536;
const HEADER_BYTES = 16; // struct inotify_event { int wd; u32 mask, cookie, len; char name[len]; }

export interface InotifyEvent {
  /** Which watch: what `add` returned; -1 for IN_Q_OVERFLOW. */
  wd: number;
  /** IN_CREATE, IN_MODIFY, …; also IN_ISDIR, IN_IGNORED, IN_UNMOUNT, IN_Q_OVERFLOW. */
  mask: number;
  /** The same in IN_MOVED_FROM and IN_MOVED_TO of one renaming; else 0. */
  cookie: number;
  /** Which entry of a watched folder; empty if it is the watched file or folder itself. */
  name: string;
}

/**
 * Watches files and folders: readable when something has happened.
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

  /** @throws {ErrnoError} EMFILE over /proc/sys/fs/inotify/max_user_instances or the limit of descriptors; ENFILE, ENOMEM */
  constructor();
  /** @internal `fd` is taken over */
  constructor(fd?: number);
  constructor(fd?: number) {
    super(fd ?? check(syscalls().inotify_init1(constants.O_NONBLOCK | constants.O_CLOEXEC), "inotify_init1"));
  }

  /** Take over an inotify instance that was opened elsewhere. */
  static fromfd(fd: number): Inotify {
    return new Inotify(takeOver(fd));
  }

  /**
   * Watch a path; a path that is watched already is watched for `mask` instead.
   *
   * @param mask IN_CREATE, IN_MODIFY, …
   * @returns the watch, a number that comes with its events
   * @throws {ErrnoError} ENOENT, EACCES, ENOTDIR; ENOSPC over /proc/sys/fs/inotify/max_user_watches; EINVAL if the mask is empty
   * @see inotify_add_watch(2)
   */
  add(path: string, mask: number): number {
    const fd = this.open("add");
    if (typeof path !== "string" || path.includes("\0")) throw new TypeError("a path is a string without NUL");
    const wd = syscalls().inotify_add_watch(fd, Buffer.from(`${path}\0`), mask | 0);
    if (wd < 0) throw new ErrnoError(-wd, "inotify_add_watch", { fd, address: path });
    return wd;
  }

  /**
   * Stop watching; IN_IGNORED comes as the last event.
   *
   * @throws {ErrnoError} EINVAL if there is no such watch
   */
  remove(wd: number): void {
    const fd = this.open("remove");
    check(syscalls().inotify_rm_watch(fd, wd), "inotify_rm_watch", fd);
  }

  /** Take the events that have come, oldest first; none: `[]`. There may be more than one call brings. */
  read(): InotifyEvent[] {
    const buffer = this.#buffer;
    const length = this.transfer("read", buffer);
    const events: InotifyEvent[] = [];
    if (length === WOULD_BLOCK) return events;
    for (let at = 0; at < length;) {
      const size = buffer.readUInt32LE(at + 12);
      const name = buffer.subarray(at + HEADER_BYTES, at + HEADER_BYTES + size); // padded with NUL
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

const names = Object.entries(constants).filter(
  ([name, value]) => name.startsWith("IN_") && typeof value === "number" && (value & (value - 1)) === 0,
) as [string, number][];

/**
 * Print an inotify mask by name.
 *
 * @example
 * ```ts
 * formatInotifyMask(IN_CREATE | IN_ISDIR); // "IN_CREATE|IN_ISDIR"
 * ```
 */
export function formatInotifyMask(mask: number): string {
  const found = names.filter(([, bit]) => (mask & bit) !== 0).map(([name]) => name);
  return found.length === 0 ? "0" : found.join("|");
}
