// Trace events as JSON, one line for each event, which can also be printed on a terminal.

import { escapeLines } from "../kernel/escape-controls.ts";
import type { TraceEvent } from "../trace/events.ts";

/** Returns the JSON of an event. Control characters that JSON permits are escaped too, so that a terminal does not interpret them. */
export function eventToJson(event: TraceEvent): string {
  return escapeLines(JSON.stringify(event));
}
