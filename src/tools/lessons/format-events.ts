// Event lists as a lesson says them: by the names of the roles, not by numbers that are another each time.

import { formatMask } from "../../kernel/format-mask.ts";
import type { FdLike } from "../../kernel/fd.ts";
import { toFd } from "../../kernel/fd.ts";

/** `[(client, EPOLLIN)]` */
export function formatEvents(events: readonly (readonly [number, number])[], names: Record<string, FdLike>): string {
  const byFd = new Map(Object.entries(names).map(([name, fd]) => [toFd(fd), name]));
  return `[${events.map(([fd, mask]) => `(${byFd.get(fd) ?? fd}, ${formatMask(mask)})`).join(", ")}]`;
}
