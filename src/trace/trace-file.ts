// Readers of saved traces: newline-delimited JSON, in the current version of the trace format or in version 1.

import { invalidType } from "../kernel/errors.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { TRACE_VERSION, type TraceEvent } from "./events.ts";

/** Thrown if a file is not a trace, is incomplete, or has an unsupported version. The message names the file and the line. */
export class TraceError extends Error {
  override readonly name: string = "TraceError";
}

/**
 * Reads a saved trace.
 *
 * @returns all events, in order; those of a version 1 trace are converted to version 2
 * @throws {TraceError} if the file is not a complete trace in a supported version
 * @throws {Error} ENOENT, EACCES, … if the file cannot be read
 */
export function readTrace(path: string): TraceEvent[] {
  return parseTrace(readTraceText(path), path);
}

/**
 * Reads the text of a saved trace.
 *
 * @throws {TraceError} if the file is a character device, which may have no end
 */
export function readTraceText(path: string): string {
  if (typeof path !== "string") throw invalidType("path", "a string", path);
  if (nodeFs().statSync(path).isCharacterDevice()) throw new TraceError(`${path} is a device, not a trace file`);
  return nodeFs().readFileSync(path, "utf8");
}

/**
 * Parses the text of a saved trace.
 *
 * @param name what to call the text in error messages; default: `"the trace"`
 * @returns all events, in order; those of a version 1 trace are converted to version 2
 * @throws {TraceError} if the text is not a complete trace in a supported version
 * @throws {TypeError} if an argument is not a string
 */
export function parseTrace(text: string, name: string = "the trace"): TraceEvent[] {
  if (typeof text !== "string") throw invalidType("text", "a string", text);
  if (typeof name !== "string") throw invalidType("name", "a string", name);
  const events: TraceEvent[] = [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  let version: unknown;
  for (const [i, line] of lines.entries()) {
    const where = `${name}, line ${i + 1}`;
    const record = parseLine(line, where);
    if (i === 0) version = versionOf(record, name, where);
    const event = toEvent(version === 1 ? upgrade(record) : record, where);
    if (event.seq !== i + 1) {
      throw new TraceError(
        `${where}: expected event ${i + 1}, found event ${event.seq}; lines of the trace are missing or duplicated`,
      );
    }
    events.push(event);
  }
  if (events.length === 0) throw new TraceError(`${name} is empty: a trace starts with a "begin" event`);
  return events;
}

function parseLine(line: string, where: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new TraceError(`${where}: not valid JSON. Traces are written by --trace-file and --trace=json`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

function versionOf(first: unknown, name: string, where: string): unknown {
  if (!isRecord(first)) throw new TraceError(`${where}: not a trace event`);
  if (first["type"] !== "begin") throw new TraceError(`${name} is not a complete trace: the "begin" event is missing`);
  const version = first["version"];
  if (version !== 1 && version !== TRACE_VERSION) {
    const written = typeof version === "number" ? `version ${version}` : "an unknown version";
    throw new TraceError(`${name} is a trace of ${written}; versions 1 and ${TRACE_VERSION} are supported`);
  }
  return version;
}

/** Version 1 called an iteration a lap, and its dispatches turns. */
function upgrade(record: unknown): unknown {
  if (!isRecord(record)) return record;
  const { seq, us, lap, type, turns, ...rest } = record;
  return {
    seq,
    us,
    iteration: lap,
    type: type === "lap" ? "iteration" : type,
    ...rest,
    ...(type === "begin" ? { version: TRACE_VERSION } : {}),
    ...(type === "lap" ? { dispatches: turns } : {}),
  };
}

function toEvent(record: unknown, where: string): TraceEvent {
  const isEvent = isRecord(record) && ["seq", "us", "iteration"].every((field) => typeof record[field] === "number");
  if (!isEvent) throw new TraceError(`${where}: not a trace event`);
  return record as unknown as TraceEvent;
}
