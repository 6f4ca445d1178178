// Reading of saved traces for the command: from a file or from standard input, whole or event by event.

import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { EPOLLIN, Epoll, parseTrace, type TraceEvent } from "../../index.ts";
import { checkTraceFile, parseChunks, readTraceText, TraceError } from "../../trace/trace-file.ts";
import { logWarning } from "./logger.ts";

const STDIN = 0;
const CHUNK_BYTES = 262_144;

/** Reads a trace event by event, so that its size does not matter. `-` is standard input. A truncated trace is reported at its end. */
export function* readEvents(file: string): Generator<TraceEvent, void, undefined> {
  const name = nameOf(file);
  const fd = file === "-" ? STDIN : open(file);
  try {
    yield* parseChunks(readChunks(fd), name, logWarning);
  } finally {
    if (fd !== STDIN) closeSync(fd);
  }
}

/** Reads a whole trace, and reports a truncated one. */
export function loadEvents(file: string): TraceEvent[] {
  return [...readEvents(file)];
}

/** Reads the text of a valid trace, without an incomplete last line, which is reported. */
export function loadText(file: string): { text: string; name: string } {
  const name = nameOf(file);
  const text = readOrExplain(() => (file === "-" ? readFileSync(STDIN, "utf8") : readTraceText(file)));
  let isTruncated = false;
  parseTrace(text, name, (note) => {
    isTruncated = true;
    logWarning(note);
  });
  return { text: isTruncated ? text.slice(0, text.lastIndexOf("\n") + 1) : text, name };
}

function nameOf(file: string): string {
  return file === "-" ? "standard input" : file;
}

function open(file: string): number {
  return readOrExplain(() => {
    checkTraceFile(file);
    return openSync(file, "r");
  });
}

function readOrExplain<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof TraceError) throw error;
    throw new Error(`cannot read the trace: ${(error as Error).message}`, { cause: error });
  }
}

function* readChunks(fd: number): Generator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let length; (length = readOrExplain(() => readSome(fd, buffer))) > 0;) {
    yield decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  yield decoder.decode();
}

/** Waits for data if another process has made the pipe of standard input non-blocking. */
function readSome(fd: number, buffer: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, buffer, 0, buffer.length, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      using epoll = new Epoll();
      epoll.register(fd, EPOLLIN);
      epoll.poll();
    }
  }
}
