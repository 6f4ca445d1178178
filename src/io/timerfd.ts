// class TimerFd: a timer that is a descriptor, with the kernel's clocks and nanoseconds.

import {
  CLOCK_MONOTONIC,
  O_CLOEXEC,
  O_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
} from "../kernel/constants.ts";
import { check } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { WOULD_BLOCK } from "./socket.ts";
import { OwnedFd, takeOver } from "./owned-fd.ts";

const SECOND = 1_000_000_000n;

/** Times are in nanoseconds. */
export interface TimerSetting {
  /** When it expires first, from now on; 0 disarms it. */
  value: bigint | number;
  /** How long after that again, each time; 0, the default: never. */
  interval?: bigint | number | undefined;
  /** `value` is a time of the clock, and not from now on. */
  isAbsolute?: boolean | undefined;
  /** With CLOCK_REALTIME and `isAbsolute`: ECANCELED from `read` when the clock is set. */
  isCanceledOnSet?: boolean | undefined;
}

/**
 * A timer: readable when it has expired.
 *
 * @see timerfd_create(2)
 * @example
 * ```ts
 * const timer = new TimerFd();
 * timer.set({ value: 500_000n, interval: 500_000n }); // each half millisecond
 * watch(timer, EPOLLIN, () => beat(timer.read()));
 * ```
 */
export class TimerFd extends OwnedFd {
  /**
   * @param clock CLOCK_MONOTONIC, CLOCK_REALTIME or CLOCK_BOOTTIME
   * @throws {ErrnoError} EINVAL if there is no such clock; EMFILE, ENFILE, ENOMEM
   */
  constructor(clock?: number);
  /** @internal `fd` is taken over */
  constructor(clock?: number, fd?: number);
  constructor(clock: number = CLOCK_MONOTONIC, fd?: number) {
    if (!Number.isInteger(clock)) throw new TypeError("a clock is one of CLOCK_MONOTONIC, CLOCK_REALTIME, …");
    super(fd ?? check(syscalls().timerfd_create(clock, O_NONBLOCK | O_CLOEXEC), "timerfd_create"));
  }

  /** Take over a timerfd that was opened elsewhere. */
  static fromfd(fd: number): TimerFd {
    return new TimerFd(CLOCK_MONOTONIC, takeOver(fd));
  }

  /**
   * Arm the timer, or disarm it; expirations that were not taken are gone.
   *
   * @returns the setting before: how much was left of the value, and the interval
   * @throws {RangeError} if a time is negative or no whole number
   */
  set({ value, interval = 0n, isAbsolute = false, isCanceledOnSet = false }: TimerSetting): {
    value: bigint;
    interval: bigint;
  } {
    const fd = this.open("set");
    const flags = (isAbsolute ? TFD_TIMER_ABSTIME : 0) | (isCanceledOnSet ? TFD_TIMER_CANCEL_ON_SET : 0);
    const before = encode(0n, 0n);
    const setting = encode(nanoseconds("value", value), nanoseconds("interval", interval));
    check(syscalls().timerfd_settime(fd, flags, bytes(setting), bytes(before)), "timerfd_settime", fd);
    return decode(before);
  }

  /** How much is left until it expires, 0 if it is disarmed; and the interval. */
  get(): { value: bigint; interval: bigint } {
    const fd = this.open("get");
    const now = encode(0n, 0n);
    check(syscalls().timerfd_gettime(fd, bytes(now)), "timerfd_gettime", fd);
    return decode(now);
  }

  /**
   * Take how often it has expired since it was set or this was asked.
   *
   * @returns `null` if it has not
   * @throws {ErrnoError} ECANCELED if the clock was set, and that was asked for
   */
  read(): bigint | null {
    const count = new BigUint64Array(new ArrayBuffer(8));
    return this.transfer("read", new Uint8Array(count.buffer)) === WOULD_BLOCK ? null : (count[0] as bigint);
  }
}

/** struct itimerspec: the interval's seconds and nanoseconds, then the value's. */
function encode(value: bigint, interval: bigint): BigInt64Array {
  return BigInt64Array.of(interval / SECOND, interval % SECOND, value / SECOND, value % SECOND);
}

function decode([seconds = 0n, ns = 0n, valueSeconds = 0n, valueNs = 0n]: BigInt64Array): {
  value: bigint;
  interval: bigint;
} {
  return { value: valueSeconds * SECOND + valueNs, interval: seconds * SECOND + ns };
}

function bytes(array: BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer);
}

function nanoseconds(name: string, time: bigint | number): bigint {
  if (typeof time === "number" && !Number.isInteger(time)) throw new RangeError(`${name} is a whole number of ns`);
  const ns = BigInt(time);
  if (ns < 0n || ns / SECOND > 0x7fffffffffffffffn)
    throw new RangeError(`${name} is a number of ns from 0 up, not ${ns}`);
  return ns;
}
