// epoll-hello --trace, --trace-file and replay: one line per event. No event is dropped: a slow reader blocks the loop.

import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import {
  Epoll,
  EPOLLOUT,
  ErrnoError,
  formatEvent,
  parseTrace,
  type TraceEvent,
  type TraceOptions,
} from "../../../index.ts";
import { untracedSyscalls } from "../../../kernel/ffi.ts";
import { readTraceText } from "../../../trace/trace-file.ts";
import { hasColor } from "../color.ts";
import type { TraceOutput } from "../command-line.ts";
import { reportOutputFailure } from "../stdout.ts";

const STDIN = 0;
const STDOUT = 1;
/** Lines are buffered and written before each wait, or when this many bytes are buffered. */
const BUFFER_BYTES = 65_536;

export interface TraceWriter {
  /** The `trace` option of the server. */
  options: TraceOptions;
  flush(): void;
  /** Writes what is buffered, and closes the file. */
  close(): void;
}

/** @throws {Error} if the file cannot be written */
export function openTraceWriter(output: TraceOutput): TraceWriter {
  const outputs: { writer: LineWriter; format: EventFormat }[] = [];
  if (output.format !== undefined) outputs.push({ writer: new LineWriter(STDOUT), format: eventFormat(output) });
  if (output.file !== undefined) {
    outputs.push({ writer: new LineWriter(openTraceFile(output.file), output.file), format: JSON.stringify });
  }
  return {
    options: {
      bytes: output.showsBytes,
      listener: (event) => {
        for (const { writer, format } of outputs) {
          const line = format(event);
          if (line !== undefined) writer.write(line);
          if (event.type === "iteration") writer.flush(); // the next wait may block indefinitely
        }
      },
    },
    flush: () => {
      for (const { writer } of outputs) writer.flush();
    },
    close: () => {
      for (const { writer } of outputs) writer.close();
    },
  };
}

/** Prints a saved trace. Returns the exit code. */
export function replay(file: string, output: TraceOutput): number {
  const writer = new LineWriter(STDOUT);
  const format = eventFormat(output);
  for (const event of parseTrace(...readTraceInput(file))) {
    const line = format(event);
    if (line !== undefined) writer.write(line);
    if (writer.hasFailed) break;
  }
  writer.close();
  return 0;
}

/** Returns the text of a trace, and its name for messages. `-` is standard input. */
export function readTraceInput(file: string): [text: string, name: string] {
  try {
    return file === "-" ? [readFileSync(STDIN, "utf8"), "standard input"] : [readTraceText(file), file];
  } catch (error) {
    throw new Error(`cannot read the trace: ${(error as Error).message}`, { cause: error });
  }
}

/** Returns the line for an event, or undefined if it has none. */
type EventFormat = (event: TraceEvent) => string | undefined;

function eventFormat({ format, isNumeric }: TraceOutput): EventFormat {
  if (format === "json") return JSON.stringify;
  if (!hasColor(STDOUT)) return (event) => formatEvent(event, { isNumeric });
  return (event) => {
    const text = formatEvent(event, { isNumeric });
    const style = ANSI_STYLES[event.type];
    return text === undefined || style === undefined ? text : `\x1b[${style}m${text}\x1b[0m`;
  };
}

/** Bold, dim, and yellow. */
const ANSI_STYLES: Partial<Record<TraceEvent["type"], string>> = { wait: "1", state: "2", warning: "33" };

function openTraceFile(file: string): number {
  try {
    return openSync(file, "w");
  } catch (error) {
    throw new Error(`cannot write the trace file: ${(error as Error).message}`, { cause: error });
  }
}

/** Writes whole lines to an fd, and waits while it is not writable. */
class LineWriter {
  /** Nothing more can be written: the disk is full, or the reader has closed the pipe. Lines are dropped. */
  hasFailed: boolean = false;
  readonly #fd: number;
  readonly #name: string;
  #text = "";
  #isFlushScheduled = false;

  constructor(fd: number, name: string = "standard output") {
    this.#fd = fd;
    this.#name = name;
  }

  write(line: string): void {
    if (this.hasFailed) return;
    this.#text += `${line}\n`;
    if (this.#text.length >= BUFFER_BYTES) this.flush();
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true; // an app's handlers also run between iterations, on Bun's event loop
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  flush(): void {
    let bytes = Buffer.from(this.#text);
    this.#text = "";
    while (bytes.length > 0 && !this.hasFailed) {
      try {
        bytes = bytes.subarray(writeSync(this.#fd, bytes));
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === "EAGAIN") {
          waitUntilWritable(this.#fd);
          continue;
        }
        this.hasFailed = true;
        if (code === "EPIPE" && this.#fd === STDOUT) continue; // as with `| head`
        reportOutputFailure(this.#name, message);
      }
    }
  }

  close(): void {
    this.flush();
    if (this.#fd !== STDOUT) closeSync(this.#fd);
  }
}

function waitUntilWritable(fd: number): void {
  const epoll = new Epoll(undefined, untracedSyscalls()); // this call does not belong to the traced program
  try {
    epoll.register(fd, EPOLLOUT);
    epoll.poll();
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
  } finally {
    epoll.close();
  }
}
