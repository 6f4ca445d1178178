// Event masks and event lists as text: `EPOLLIN|EPOLLRDHUP` and `[(5, EPOLLIN)]`.

import {
  EPOLL_URING_WAKE,
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLMSG,
  EPOLLNVAL,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDBAND,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWAKEUP,
  EPOLLWRBAND,
  EPOLLWRNORM,
} from "./constants.ts";
import { checkInteger, invalidType } from "./errors.ts";
import { check32Bit, MAX_INT } from "./integers.ts";

const maskNames: readonly (readonly [bit: number, name: string])[] = [
  [EPOLLIN, "EPOLLIN"],
  [EPOLLPRI, "EPOLLPRI"],
  [EPOLLOUT, "EPOLLOUT"],
  [EPOLLERR, "EPOLLERR"],
  [EPOLLHUP, "EPOLLHUP"],
  [EPOLLNVAL, "EPOLLNVAL"],
  [EPOLLRDNORM, "EPOLLRDNORM"],
  [EPOLLRDBAND, "EPOLLRDBAND"],
  [EPOLLWRNORM, "EPOLLWRNORM"],
  [EPOLLWRBAND, "EPOLLWRBAND"],
  [EPOLLMSG, "EPOLLMSG"],
  [EPOLLRDHUP, "EPOLLRDHUP"],
  [EPOLL_URING_WAKE, "EPOLL_URING_WAKE"],
  [EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE"],
  [EPOLLWAKEUP, "EPOLLWAKEUP"],
  [EPOLLONESHOT, "EPOLLONESHOT"],
  [EPOLLET, "EPOLLET"],
];

/**
 * Formats an event mask by the names of its bits.
 *
 * @param mask any 32-bit number; a negative one, as `EPOLLIN | EPOLLET` is in JavaScript, is read as unsigned
 * @returns the names joined by `|`, followed by unknown bits in hex; `"0"` for an empty mask
 * @throws {TypeError | RangeError} if the mask is not a 32-bit integer
 * @example
 * ```ts
 * formatMask(EPOLLIN | EPOLLRDHUP); // "EPOLLIN|EPOLLRDHUP"
 * ```
 */
export function formatMask(mask: number): string {
  let rest = check32Bit("mask", mask) >>> 0;
  const names: string[] = [];
  for (const [bit, name] of maskNames) {
    if ((rest & bit) === 0) continue;
    names.push(name);
    rest = (rest & ~bit) >>> 0;
  }
  if (rest !== 0) names.push(`0x${rest.toString(16)}`);
  return names.length === 0 ? "0" : names.join("|");
}

/**
 * Formats a list of events as Python prints it, with masks by name.
 *
 * @param events `[fd, mask]` pairs: the result of `Epoll.poll`, or an `EventList`
 * @throws {TypeError | RangeError} if `events` has anything else
 * @example
 * ```ts
 * formatEvents([[5, EPOLLIN]]); // "[(5, EPOLLIN)]"
 * ```
 */
export function formatEvents(events: Iterable<readonly [fd: number, mask: number]>): string {
  if (typeof events !== "object" || typeof events?.[Symbol.iterator] !== "function") {
    throw invalidType("events", "[fd, mask] pairs", events);
  }
  return `[${Array.from(events, formatPair).join(", ")}]`;
}

function formatPair(pair: readonly [fd: number, mask: number]): string {
  if (!Array.isArray(pair)) throw invalidType("an item of events", "a pair [fd, mask]", pair);
  const [fd, mask] = pair as readonly [number, number];
  return `(${checkInteger("fd", fd, -1, MAX_INT)}, ${formatMask(mask)})`;
}
