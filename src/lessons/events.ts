// Event lists as a lesson says them: by the names of the roles, not by numbers that are another each time.

import { formatMask } from "../constants.ts";
import type { FdLike } from "../fd.ts";
import { toFd } from "../fd.ts";

/** `[(client, EPOLLIN)]` */
export function named(events: readonly (readonly [number, number])[], names: Record<string, FdLike>): string {
  const byFd = new Map(Object.entries(names).map(([name, fd]) => [toFd(fd), name]));
  return `[${events.map(([fd, mask]) => `(${byFd.get(fd) ?? fd}, ${formatMask(mask)})`).join(", ")}]`;
}
