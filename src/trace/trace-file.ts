// Readers of saved traces: newline-delimited JSON, in the current version of the trace format or in version 1.

import { invalidType } from "../kernel/errors.ts";
import { nodeFs } from "../kernel/node-fs.ts";
import { TRACE_VERSION, type TraceEvent } from "./events.ts";
import { findProblem } from "./validate-event.ts";

/** Thrown if a file is not a trace, is incomplete, or has an unsupported version. The message names the file and the line. */
export class TraceError extends Error {
  override readonly name: string = "TraceError";
}

/**
 * Reads a saved trace.
 *
 * @param onTruncated called with a note if the last line is incomplete, as after a crash or on a full disk: the events before
 * that line are returned. Without it, an incomplete line is an error.
 * @returns all events, in order; those of a version 1 trace are converted to version 2
 * @throws {TraceError} if the file is not a trace in a supported version
 * @throws {Error} ENOENT, EACCES, … if the file cannot be read
 */
export function readTrace(path: string, onTruncated?: (note: string) => void): TraceEvent[] {
  return parseTrace(readTraceText(path), path, onTruncated);
}

/**
 * Reads the text of a saved trace.
 *
 * @throws {TraceError} if the file is a character device, which may have no end
 */
export function readTraceText(path: string): string {
  checkTraceFile(path);
  return nodeFs().readFileSync(path, "utf8");
}

/**
 * Checks that a file can be read to its end.
 *
 * @throws {TraceError} if it is a character device
 */
export function checkTraceFile(path: string): void {
  if (typeof path !== "string") throw invalidType("path", "a string", path);
  if (nodeFs().statSync(path).isCharacterDevice()) throw new TraceError(`${path} is a device, not a trace file`);
}

/**
 * Parses the text of a saved trace.
 *
 * @param name what to call the text in error messages; default: `"the trace"`
 * @param onTruncated called with a note if the last line is incomplete: the events before that line are returned. Without it, an
 * incomplete line is an error.
 * @returns all events, in order; those of a version 1 trace are converted to version 2
 * @throws {TraceError} if the text is not a trace in a supported version; the message has the line and what is wrong with it
 * @throws {TypeError} if an argument has the wrong type
 */
export function parseTrace(
  text: string,
  name: string = "the trace",
  onTruncated?: (note: string) => void,
): TraceEvent[] {
  if (typeof text !== "string") throw invalidType("text", "a string", text);
  if (typeof name !== "string") throw invalidType("name", "a string", name);
  if (onTruncated !== undefined && typeof onTruncated !== "function")
    throw invalidType("onTruncated", "a function", onTruncated);
  return [...parseChunks([text], name, onTruncated)];
}

/** Parses a trace that arrives in pieces, without holding more than one of them. The parameters are those of `parseTrace`. */
export function* parseChunks(
  chunks: Iterable<string>,
  name: string,
  onTruncated?: (note: string) => void,
): Generator<TraceEvent, void, undefined> {
  const parser = new TraceParser(name);
  let rest = "";
  for (const chunk of chunks) {
    let start = 0;
    for (let end; (end = chunk.indexOf("\n", start)) >= 0; start = end + 1) {
      yield parser.parse(rest + chunk.slice(start, end));
      rest = "";
    }
    rest += chunk.slice(start);
    if (rest.length > MAX_LINE_LENGTH) throw parser.error("the line is too long");
  }
  if (rest !== "") {
    const last = parser.parseLast(rest, onTruncated);
    if (last !== undefined) yield last;
  }
  parser.finish();
}

/** The maximum length of a line: a transfer of 10 MB with all of its bytes fits. */
const MAX_LINE_LENGTH = 64 * 1024 * 1024;

/** Parses the lines of one trace. */
class TraceParser {
  readonly #name: string;
  /** The number of lines parsed. */
  #lines = 0;
  /** The `seq` of the last event. */
  #seq = 0;
  #version: unknown;

  constructor(name: string) {
    this.#name = name;
  }

  /** Returns an error about the current line. */
  error(problem: string): TraceError {
    return new TraceError(`${this.#name}, line ${this.#lines}: ${problem}`);
  }

  parse(line: string): TraceEvent {
    this.#lines++;
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch {
      throw this.error("not valid JSON. Traces are written by --trace-file and --trace=json");
    }
    return this.#toEvent(record);
  }

  /** Parses a line without a line feed, which every line of a trace ends with: it may be incomplete. */
  parseLast(line: string, onTruncated: ((note: string) => void) | undefined): TraceEvent | undefined {
    if (onTruncated === undefined || this.#lines === 0 || isJson(line)) return this.parse(line);
    onTruncated(
      `${this.#name} is truncated: line ${this.#lines + 1} is incomplete, and the ${this.#lines} before it are shown`,
    );
    return undefined;
  }

  finish(): void {
    if (this.#lines === 0) throw new TraceError(`${this.#name} is empty: a trace starts with a "begin" event`);
  }

  #toEvent(record: unknown): TraceEvent {
    if (this.#lines === 1) this.#version = this.#versionOf(record);
    const value = this.#version === 1 ? upgrade(record) : record;
    const problem = findProblem(value);
    if (problem !== undefined) throw this.error(`not a trace event: ${problem}`);
    const event = value as TraceEvent;
    const expected = this.#seq + (event.type === "dropped" ? event.events : 1);
    if (event.seq !== expected) {
      throw this.error(
        `expected event ${expected}, found event ${event.seq}; lines of the trace are missing or duplicated`,
      );
    }
    this.#seq = event.seq;
    return event;
  }

  #versionOf(first: unknown): unknown {
    const { type, version } = (Object(first) === first ? first : {}) as Readonly<Record<string, unknown>>;
    if (typeof type !== "string") throw this.error("not a trace event");
    if (type !== "begin") {
      throw new TraceError(`${this.#name} is not a complete trace: the "begin" event is missing`);
    }
    if (version !== 1 && version !== TRACE_VERSION) {
      const written = typeof version === "number" ? `version ${version}` : "an unknown version";
      throw new TraceError(`${this.#name} is a trace of ${written}; versions 1 and ${TRACE_VERSION} are supported`);
    }
    return version;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Version 1 called an iteration a lap, and its dispatches turns. */
function upgrade(record: unknown): unknown {
  if (typeof record !== "object" || record === null) return record;
  const { seq, us, lap, type, turns, ...rest } = record as Readonly<Record<string, unknown>>;
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
