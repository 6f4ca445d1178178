// Saves the events that the page has as a trace file, or those of a range.

import type { TraceEvent } from "../../../trace/events.ts";
import type { EventHistory } from "./event-history.ts";
import type { PositionRange } from "./event-browser.ts";

/** Returns the events as lines of JSON. */
export function traceText(history: EventHistory, range: PositionRange | undefined): string {
  const lines: string[] = [];
  history.forEach(range?.from ?? history.start, (range?.to ?? history.end - 1) + 1, (event: TraceEvent) => {
    lines.push(JSON.stringify(event));
  });
  return `${lines.join("\n")}\n`;
}

/** Lets the browser save a text as a file. */
export function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url));
}

/** Returns a name for a saved trace, such as `trace-20261128-131500.jsonl`. */
export function traceName(date: Date): string {
  const [day = "", time = ""] = date.toISOString().split("T");
  return `trace-${day.replaceAll("-", "")}-${time.slice(0, 8).replaceAll(":", "")}.jsonl`;
}
