// class TimerFd: a timer as a file descriptor, timerfd_create(2), with nanosecond resolution and the kernel's clocks.

import {
  CLOCK_MONOTONIC,
  O_CLOEXEC,
  O_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
} from "../kernel/constants.ts";
import { check, invalidType, outOfRange } from "../kernel/errors.ts";
import { syscalls } from "../kernel/ffi.ts";
import { checkInt } from "../kernel/integers.ts";
import { adoptFd, type FileKind, type OpenFd, openOr, OwnedFd } from "./owned-fd.ts";
import { WOULD_BLOCK } from "./transfer.ts";

const TIMERFD: FileKind = ["a timerfd", /^anon_inode:\[timerfd\]$/];
const NS_PER_SECOND = 1_000_000_000n;
const MAX_SECONDS = 0x7fffffffffffffffn;

/** The setting of a timer. Times are in nanoseconds. */
export interface TimerSetting {
  /** Time until the first expiration; 0 disarms the timer. */
  value: bigint | number;
  /** Interval between further expirations. Default: 0, for none. */
  interval?: bigint | number | undefined;
  /** Whether `value` is an absolute time of the clock (TFD_TIMER_ABSTIME). Default: false. */
  isAbsolute?: boolean | undefined;
  /** With CLOCK_REALTIME and `isAbsolute`: `read` throws ECANCELED after the clock is set (TFD_TIMER_CANCEL_ON_SET). */
  isCanceledOnSet?: boolean | undefined;
}

/**
 * A timer that becomes readable when it expires.
 *
 * @see timerfd_create(2)
 * @example
 * ```ts
 * const timer = new TimerFd();
 * timer.set({ value: 500_000n, interval: 500_000n }); // every 0.5 ms
 * watch(timer, EPOLLIN, () => console.log("expirations:", timer.read()));
 * ```
 */
export class TimerFd extends OwnedFd {
  /**
   * Creates a disarmed timer.
   *
   * @param clock CLOCK_MONOTONIC (the default), CLOCK_REALTIME or CLOCK_BOOTTIME
   * @throws {ErrnoError} EINVAL if the clock does not exist
   * @throws {ErrnoError} EMFILE, ENFILE or ENOMEM if no file descriptor can be created
   * @throws {TypeError | RangeError} if `clock` is not an integer, or out of range
   */
  constructor(clock?: number);
  /** @internal takes ownership of an open file descriptor */
  constructor(clock: number, open: OpenFd);
  constructor(clock: number = CLOCK_MONOTONIC, open?: OpenFd) {
    checkInt("clock", clock, ": CLOCK_MONOTONIC, CLOCK_REALTIME or CLOCK_BOOTTIME");
    const create = (): number => check(syscalls().timerfd_create(clock, O_NONBLOCK | O_CLOEXEC), "timerfd_create");
    super("TimerFd", openOr(open, "second", create));
  }

  /**
   * Takes ownership of a timerfd that was opened elsewhere.
   *
   * @param fd an open timerfd
   * @throws {ErrnoError} EBADF if it is not open
   * @throws {TypeError | RangeError} if it is not a valid file descriptor, or not a timerfd
   */
  static fromfd(fd: number): TimerFd {
    return new TimerFd(CLOCK_MONOTONIC, adoptFd(fd, TIMERFD));
  }

  /**
   * Arms or disarms the timer. Expirations that have not been read are discarded.
   *
   * @param setting the times, in nanoseconds
   * @returns the previous setting: the time that was left until the next expiration, and the interval
   * @throws {TypeError | RangeError} if the setting is not an object, or a time is negative or not an integer
   * @throws {ErrnoError} EINVAL if a time is out of range for the kernel
   * @throws {ClosedError} if this object is closed
   * @see timerfd_settime(2)
   */
  set(setting: TimerSetting): { value: bigint; interval: bigint } {
    if (typeof setting !== "object" || setting === null) {
      throw invalidType("setting", "{ value, interval? } with times in nanoseconds", setting);
    }
    const { value, interval = 0n, isAbsolute = false, isCanceledOnSet = false } = setting;
    const flags = (isAbsolute ? TFD_TIMER_ABSTIME : 0) | (isCanceledOnSet ? TFD_TIMER_CANCEL_ON_SET : 0);
    const previous = encode(0n, 0n);
    const next = encode(toNanoseconds("value", value), toNanoseconds("interval", interval));
    const fd = this.open("set"); // last: a getter of the setting may have closed this object
    check(this.sys.timerfd_settime(fd, flags, bytesOf(next), bytesOf(previous)), "timerfd_settime", fd);
    return decode(previous);
  }

  /**
   * Returns the time until the next expiration, 0 if the timer is disarmed, and the interval, in nanoseconds.
   *
   * @throws {ClosedError} if this object is closed
   * @see timerfd_gettime(2)
   */
  get(): { value: bigint; interval: bigint } {
    const fd = this.open("get");
    const now = encode(0n, 0n);
    check(this.sys.timerfd_gettime(fd, bytesOf(now)), "timerfd_gettime", fd);
    return decode(now);
  }

  /**
   * Reads the number of expirations since the last `read` or `set`.
   *
   * @returns the number, or `null` if the timer has not expired
   * @throws {ErrnoError} ECANCELED if the clock was set and the setting has `isCanceledOnSet`
   * @throws {ClosedError} if this object is closed
   * @see timerfd_create(2)
   */
  read(): bigint | null {
    const count = new BigUint64Array(new ArrayBuffer(8));
    return this.transfer("read", new Uint8Array(count.buffer)) === WOULD_BLOCK ? null : (count[0] as bigint);
  }
}

/** Encodes a struct itimerspec: seconds and nanoseconds of the interval, then of the value. */
function encode(value: bigint, interval: bigint): BigInt64Array {
  return BigInt64Array.of(
    interval / NS_PER_SECOND,
    interval % NS_PER_SECOND,
    value / NS_PER_SECOND,
    value % NS_PER_SECOND,
  );
}

function decode([intervalSeconds = 0n, intervalNs = 0n, valueSeconds = 0n, valueNs = 0n]: BigInt64Array): {
  value: bigint;
  interval: bigint;
} {
  return { value: valueSeconds * NS_PER_SECOND + valueNs, interval: intervalSeconds * NS_PER_SECOND + intervalNs };
}

function bytesOf(array: BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer);
}

function toNanoseconds(name: string, time: bigint | number): bigint {
  const expected = "a number of nanoseconds (an integer or bigint, 0 or greater)";
  if (typeof time !== "bigint" && typeof time !== "number") throw invalidType(name, expected, time);
  if (typeof time === "number" && !Number.isInteger(time)) throw outOfRange(name, expected, time);
  const ns = BigInt(time);
  if (ns < 0n || ns / NS_PER_SECOND > MAX_SECONDS) throw outOfRange(name, expected, time);
  return ns;
}
