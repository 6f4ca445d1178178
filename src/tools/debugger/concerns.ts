// The fds that an event is about.

import type { TraceEvent } from "../../trace/events.ts";

/** Returns whether an event is about an fd. */
export function concerns(event: TraceEvent, fd: number): boolean {
  if (event.type === "wait") return event.events.some(([ready]) => ready === fd);
  if (event.type === "create") return event.result === fd;
  if (event.type === "accept") return event.result === fd || event.fd === fd;
  return "fd" in event && event.fd === fd;
}
