// Totals of events, for any moment of the history.

import type { TraceEvent } from "../../../trace/events.ts";
import type { SampleCounts } from "../../debugger/sampler.ts";

export function emptyCounts(): SampleCounts {
  return {
    iterations: 0,
    events: {},
    accepted: 0,
    bytesIn: 0,
    bytesOut: 0,
    blockedUs: 0,
    awayUs: 0,
    workedUs: 0,
    overheadUs: 0,
  };
}

/** Adds an event to the totals (1), or takes it away again (-1). */
export function countEvent(counts: SampleCounts, event: TraceEvent, sign: 1 | -1): void {
  counts.events[event.type] = (counts.events[event.type] ?? 0) + sign;
  switch (event.type) {
    case "wait":
      counts.iterations += sign;
      counts.blockedUs += sign * event.blockedUs;
      counts.awayUs += sign * (event.awayUs ?? 0);
      return;
    case "iteration":
      counts.workedUs += sign * event.workedUs;
      return;
    case "accept":
      if (event.result >= 0) counts.accepted += sign;
      return;
    case "recv":
      counts.bytesIn += sign * Math.max(0, event.result);
      return;
    case "send":
      counts.bytesOut += sign * Math.max(0, event.result);
      return;
    default:
  }
}
