// The overview of all events: how many there are in each of a number of bins, and which bins have warnings or failures.

import type { TraceEvent } from "../../../trace/events.ts";
import { hasLine } from "../../../trace/format.ts";
import type { EventBrowser } from "./event-browser.ts";
import { isFailure } from "./range-totals.ts";

export interface Bin {
  events: number;
  hasWarning: boolean;
  hasFailure: boolean;
}

/** Divides the events into `count` bins along the axis of the timeline. */
export function overviewBins({ history, rows, unit, bounds }: EventBrowser, count: number): Bin[] {
  const bins = Array.from({ length: count }, (): Bin => ({ events: 0, hasWarning: false, hasFailure: false }));
  const span = Math.max(bounds.to - bounds.from, Number.MIN_VALUE);
  const add = (event: TraceEvent, value: number): void => {
    const index = Math.floor(((value - bounds.from) / span) * count);
    const bin = bins[Math.max(0, Math.min(count - 1, index))] as Bin;
    bin.events++;
    bin.hasWarning ||= event.type === "warning";
    bin.hasFailure ||= isFailure(event);
  };
  if (unit === "time") {
    history.forEach(history.start, history.end, (event) => hasLine(event) && add(event, event.us));
    return bins;
  }
  for (let index = rows.start; index < rows.end; index++) {
    const event = history.event(rows.at(index)?.first ?? -1);
    if (event !== undefined) add(event, index);
  }
  return bins;
}
