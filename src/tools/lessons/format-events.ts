// Event lists with names in place of file descriptor numbers, which differ from run to run.

import { formatMask } from "../../kernel/format-mask.ts";
import { type FdLike, toFd } from "../../kernel/fd.ts";

/** Returns a list such as `[(client, EPOLLIN)]`. A file descriptor without a name is shown by number. */
export function formatEvents(events: readonly (readonly [number, number])[], names: Record<string, FdLike>): string {
  const nameByFd = new Map(Object.entries(names).map(([name, fd]) => [toFd(fd), name]));
  return `[${events.map(([fd, mask]) => `(${nameByFd.get(fd) ?? fd}, ${formatMask(mask)})`).join(", ")}]`;
}
