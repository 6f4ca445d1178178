// A trace as a file: JSON, an event on each line, the first of which says which version of the form it is.

import { nodeFs } from "../kernel/node-fs.ts";
import { TRACE_VERSION, type TraceEvent } from "./events.ts";

/** A file that is no trace, or none that this version can read. The message says which line. */
export class TraceError extends Error {
  override readonly name: string = "TraceError";
}

/** All events of a file, whole and in order. */
export function readTrace(path: string): TraceEvent[] {
  return parseTrace(readTraceText(path), path);
}

/** @throws {TraceError} if it is a device: some have no end */
export function readTraceText(path: string): string {
  if (nodeFs().statSync(path).isCharacterDevice()) throw new TraceError(`${path} is a device, and no file of a trace`);
  return nodeFs().readFileSync(path, "utf8");
}

/** @param name what to call the text in errors */
export function parseTrace(text: string, name: string): TraceEvent[] {
  const events: TraceEvent[] = [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const [i, line] of lines.entries()) {
    const event = parseLine(line, `${name}, line ${i + 1}`);
    if (i === 0) checkBegin(event, name);
    if (event.seq !== i + 1) {
      throw new TraceError(`${name}, line ${i + 1}: this is event ${event.seq}: the trace has lost or doubled some`);
    }
    events.push(event);
  }
  if (events.length === 0) throw new TraceError(`${name} is empty: a trace begins with a line of type "begin"`);
  return events;
}

function parseLine(line: string, where: string): TraceEvent {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new TraceError(`${where}: this is no JSON. A trace is what --trace-file or --trace=json writes`);
  }
  const isEvent =
    typeof value === "object" &&
    value !== null &&
    typeof (value as TraceEvent).type === "string" &&
    ["seq", "us", "iteration"].every((field) => typeof (value as Record<string, unknown>)[field] === "number");
  if (!isEvent) throw new TraceError(`${where}: this is no event of a trace`);
  return value as TraceEvent;
}

function checkBegin(event: TraceEvent, name: string): void {
  if (event.type !== "begin") throw new TraceError(`${name} is no whole trace: it does not begin with its version`);
  if (event.version !== TRACE_VERSION) {
    throw new TraceError(`${name} is a trace of version ${String(event.version)}; this program reads ${TRACE_VERSION}`);
  }
}
