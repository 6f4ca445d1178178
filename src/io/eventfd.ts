// class EventFd: a 64-bit counter in the kernel, eventfd(2), for waking an event loop, even from another thread.

import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE } from "../kernel/constants.ts";
import { check, checkInteger, invalidType, outOfRange } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { adoptFd, type FileKind, type OpenFd, openOr, OwnedFd } from "./owned-fd.ts";
import { WOULD_BLOCK } from "./transfer.ts";

const EVENTFD: FileKind = ["an eventfd", /^anon_inode:\[eventfd\]$/];
const MAX_COUNT = 0xfffffffffffffffen;
const COUNT_RANGE = "an integer or bigint from 0 to 2^64 - 2";

/**
 * A 64-bit counter in the kernel. It is readable while the count is greater than 0.
 *
 * To wake another thread, send it a duplicate of the file descriptor. Each thread owns and closes its own.
 *
 * @see eventfd(2)
 * @example
 * ```ts
 * const wake = new EventFd();
 * worker.postMessage(wake.dup()); // there: EventFd.fromfd(event.data).write()
 * watch(wake, EPOLLIN, () => console.log("woken", wake.read()));
 * ```
 */
export class EventFd extends OwnedFd {
  /**
   * Creates a counter.
   *
   * @param initial the initial count, from 0 to 4294967295
   * @param options `semaphore`: `read` decrements the count by 1 instead of resetting it
   * @throws {ErrnoError} EMFILE, ENFILE or ENOMEM if no file descriptor can be created
   * @throws {TypeError | RangeError} if `initial` is not a number or out of range, or `options` is not an object
   */
  constructor(initial?: number, options?: { semaphore?: boolean | undefined });
  /** @internal takes ownership of an open file descriptor */
  constructor(initial: number, options: { semaphore?: boolean | undefined }, open: OpenFd);
  constructor(initial: number = 0, options: { semaphore?: boolean | undefined } = {}, open?: OpenFd) {
    checkInteger("initial", initial, 0, 0xffffffff);
    if (typeof options !== "object" || options === null) throw invalidType("options", "{ semaphore }", options);
    const flags = EFD_NONBLOCK | EFD_CLOEXEC | (options.semaphore ? EFD_SEMAPHORE : 0);
    const create = (): number => check(syscalls().eventfd(initial | 0, flags), "eventfd");
    super("EventFd", openOr(open, "third", create));
  }

  /**
   * Takes ownership of an eventfd that was opened elsewhere.
   *
   * @param fd an open eventfd
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor, or not an eventfd
   */
  static fromfd(fd: number): EventFd {
    return new EventFd(0, {}, adoptFd(fd, EVENTFD));
  }

  /**
   * Reads the count and resets it to 0. A semaphore is decremented by 1 instead.
   *
   * @returns the count, or 1 for a semaphore; `null` if the count is 0
   * @throws {ClosedError} if this object is closed
   * @see eventfd(2)
   */
  read(): bigint | null {
    const count = new BigUint64Array(new ArrayBuffer(8));
    return this.transfer("read", new Uint8Array(count.buffer)) === WOULD_BLOCK ? null : (count[0] as bigint);
  }

  /**
   * Adds to the count, which makes the eventfd readable.
   *
   * @param count an integer from 0 to 2^64 - 2; the default is 1
   * @returns `true`; `false` if the count would exceed 2^64 - 2: read it first
   * @throws {TypeError | RangeError} if the count is not an integer or out of range
   * @throws {ClosedError} if this object is closed
   * @see eventfd(2)
   */
  write(count: bigint | number = 1n): boolean {
    if (typeof count !== "bigint" && typeof count !== "number") throw invalidType("count", COUNT_RANGE, count);
    if (typeof count === "number" && !Number.isInteger(count)) throw outOfRange("count", COUNT_RANGE, count);
    const value = BigInt(count);
    if (value < 0n || value > MAX_COUNT) throw outOfRange("count", COUNT_RANGE, count);
    return this.transfer("write", new Uint8Array(BigUint64Array.of(value).buffer)) !== WOULD_BLOCK;
  }
}
