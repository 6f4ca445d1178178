// The events that the page has, or those of a range, as the text of a trace file.

import { TRACE_VERSION, type TraceEvent } from "../../../trace/events.ts";
import type { EventHistory } from "./event-history.ts";
import type { PositionRange } from "./event-browser.ts";

/** The process that is traced, for a trace whose first event the page does not have. */
export interface TraceOrigin {
  pid: number;
  /** When the trace began, in milliseconds since the epoch. */
  startedMs: number;
}

/** Returns the events as lines of JSON. A `dropped` event stands for those that the page does not have. */
export function traceText(history: EventHistory, range: PositionRange | undefined, origin: TraceOrigin): string {
  const lines: string[] = [];
  let seq = 0;
  const add = (event: TraceEvent): void => {
    lines.push(JSON.stringify(event));
    ({ seq } = event);
  };
  history.forEach(range?.from ?? history.start, (range?.to ?? history.end - 1) + 1, (event) => {
    if (seq === 0 && event.type !== "begin") add(history.begin ?? beginEvent(origin));
    // The history of a saved trace has `dropped` events itself.
    const missing = event.type === "dropped" ? event.seq - event.events - seq : event.seq - 1 - seq;
    if (missing > 0)
      add({ seq: seq + missing, us: event.us, iteration: event.iteration, type: "dropped", events: missing });
    add(event);
  });
  return `${lines.join("\n")}\n`;
}

function beginEvent({ pid, startedMs }: TraceOrigin): TraceEvent {
  const date = new Date(startedMs).toISOString();
  return { seq: 1, us: 0, iteration: 0, type: "begin", version: TRACE_VERSION, pid, date };
}

/** Returns a name for a saved trace, such as `trace-20261128-131500.jsonl`. */
export function traceName(date: Date): string {
  const [day = "", time = ""] = date.toISOString().split("T");
  return `trace-${day.replaceAll("-", "")}-${time.slice(0, 8).replaceAll(":", "")}.jsonl`;
}
