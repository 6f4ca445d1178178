// class EventFd: a counter that wakes whoever watches it, from another Worker too.

import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE } from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { WOULD_BLOCK } from "./socket.ts";
import { OwnedFd, takeOver } from "./owned-fd.ts";

const MOST = 0xfffffffffffffffen;

/**
 * A 64-bit counter in the kernel: readable while it is above 0.
 *
 * To wake another Worker: `worker.postMessage(wake.dup())` there, `EventFd.fromfd(number)` here; each owns its own number of
 * the same counter.
 *
 * @see eventfd(2)
 */
export class EventFd extends OwnedFd {
  /**
   * @param initial from 0 to 4294967295
   * @param options `semaphore`: a read takes 1, not all
   * @throws {ErrnoError} EMFILE, ENFILE, ENOMEM
   */
  constructor(initial?: number, options?: { semaphore?: boolean | undefined });
  /** @internal `fd` is taken over */
  constructor(initial?: number, options?: { semaphore?: boolean | undefined }, fd?: number);
  constructor(initial: number = 0, { semaphore = false }: { semaphore?: boolean | undefined } = {}, fd?: number) {
    if (!Number.isInteger(initial) || initial < 0 || initial > 0xffffffff) {
      throw new RangeError(`the initial count is a whole number from 0 to 4294967295, not ${String(initial)}`);
    }
    const flags = EFD_NONBLOCK | EFD_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0);
    super(fd ?? check(syscalls().eventfd(initial | 0, flags), "eventfd"));
  }

  /** Take over an eventfd that was opened elsewhere. */
  static fromfd(fd: number): EventFd {
    return new EventFd(0, {}, takeOver(fd));
  }

  /**
   * Take the count, and set it to 0; of a semaphore, take 1.
   *
   * @returns `null` if it is 0
   */
  read(): bigint | null {
    const count = new BigUint64Array(new ArrayBuffer(8));
    return this.transfer("read", new Uint8Array(count.buffer)) === WOULD_BLOCK ? null : (count[0] as bigint);
  }

  /**
   * Add to the count, and wake who watches it.
   *
   * @param count from 0 to 2^64 - 2
   * @returns `false` if the counter has no room for that: read it first
   */
  write(count: bigint | number = 1n): boolean {
    const value = BigInt(count);
    if (value < 0n || value > MOST) throw new RangeError(`a count is from 0 to 2^64 - 2, not ${value}`);
    return this.transfer("write", new Uint8Array(BigUint64Array.of(value).buffer)) !== WOULD_BLOCK;
  }
}
