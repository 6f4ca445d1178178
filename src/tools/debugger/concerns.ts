// The fds that an event is about.

import type { TraceEvent } from "../../trace/events.ts";

/**
 * Returns whether an event is about an fd.
 *
 * @param pid the process of the fd; undefined: any
 */
export function concerns(event: TraceEvent, fd: number, pid?: number | undefined): boolean {
  if (pid !== undefined && event.pid !== pid) return false;
  if (event.type === "wait") return event.events.some(([ready]) => ready === fd);
  if (event.type === "create") return event.result === fd;
  if (event.type === "open") return event.result === fd || event.from === fd;
  if (event.type === "accept") return event.result === fd || event.fd === fd;
  return "fd" in event && event.fd === fd;
}
