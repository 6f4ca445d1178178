// Comparison of a registered mask with the kernel's mask for the same file descriptor.

import { EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLONESHOT, EPOLLWAKEUP } from "../kernel/constants.ts";

/** Flags that say how events are reported, not which. The kernel keeps them when EPOLLONESHOT disarms a registration. */
export const REPORTING_FLAGS: number = EPOLLET | EPOLLONESHOT | EPOLLEXCLUSIVE | EPOLLWAKEUP;

/**
 * Compares the mask passed to epoll_ctl(2) with the one in the kernel's interest list. Returns `disarmed` if EPOLLONESHOT has
 * disarmed the registration, until epoll_ctl(2) re-arms it.
 *
 * @param registered the registered mask; undefined if the program has not registered the file descriptor
 * @param kernel the kernel mask; undefined if the kernel does not watch the file descriptor
 */
export function compareMasks(
  registered: number | undefined,
  kernel: number | undefined,
): "same" | "disarmed" | "different" {
  if (registered === undefined || kernel === undefined) return registered === kernel ? "same" : "different";
  if ((kernel & ~REPORTING_FLAGS) === 0 && (registered & EPOLLONESHOT) !== 0) return "disarmed";
  // The kernel adds EPOLLERR and EPOLLHUP to every mask.
  return (registered | EPOLLERR | EPOLLHUP) >>> 0 === kernel >>> 0 ? "same" : "different";
}
