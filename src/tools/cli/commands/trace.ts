// epoll-hello --trace, --trace-file, replay: a line for each event. None is left out: where nobody reads, the loop waits.

import { closeSync, openSync, writeSync } from "node:fs";
import {
  Epoll,
  EPOLLOUT,
  ErrnoError,
  formatEvent,
  readTrace,
  type TraceEvent,
  type TraceOptions,
} from "../../../index.ts";
import { untracedSyscalls } from "../../../kernel/ffi.ts";
import { hasColour } from "../flags.ts";
import { type TraceRequest, UsageError } from "../command-line.ts";
import { showWarning } from "../logger.ts";

const STDOUT = 1;
/** Lines go out together, before each wait, and when there are so many bytes. */
const BUFFER_BYTES = 65_536;

/** What `trace` is for the server; `end` writes what is left. */
export interface Tracing {
  options: TraceOptions;
  /** Write what there is. */
  flush(): void;
  end(): void;
}

/** @throws {UsageError} if the file cannot be written */
export function tracing(request: TraceRequest): Tracing {
  const writers: { writer: Writer; line: (event: TraceEvent) => string | undefined }[] = [];
  if (request.format !== undefined) writers.push({ writer: new Writer(STDOUT), line: lines(request) });
  if (request.file !== undefined) writers.push({ writer: new Writer(openTrace(request.file)), line: JSON.stringify });
  return {
    options: {
      bytes: request.hasBytes,
      listener: (event) => {
        for (const { writer, line } of writers) {
          const text = line(event);
          if (text !== undefined) writer.write(text);
          if (event.type === "iteration") writer.flush(); // it may wait now for as long as it likes
        }
      },
    },
    flush: () => {
      for (const { writer } of writers) writer.flush();
    },
    end: () => {
      for (const { writer } of writers) writer.close();
    },
  };
}

/** Print a trace that was saved; returns the exit code. */
export function replay(file: string, request: TraceRequest): number {
  const writer = new Writer(STDOUT);
  const line = lines(request);
  for (const event of readTrace(file)) {
    const text = line(event);
    if (text !== undefined) writer.write(text);
  }
  writer.close();
  return 0;
}

function lines({ format, isNumeric }: TraceRequest): (event: TraceEvent) => string | undefined {
  if (format === "json") return JSON.stringify;
  if (!hasColour(process.stdout)) return (event) => formatEvent(event, { isNumeric });
  return (event) => {
    const text = formatEvent(event, { isNumeric });
    const style = styles[event.type];
    return text === undefined || style === undefined ? text : `\x1b[${style}m${text}\x1b[0m`;
  };
}

/** A wait is bold, a state dim, a warning yellow. */
const styles: Partial<Record<TraceEvent["type"], string>> = { wait: "1", state: "2", warning: "33" };

function openTrace(file: string): number {
  try {
    return openSync(file, "w");
  } catch (error) {
    throw new UsageError(`--trace-file cannot be written: ${(error as Error).message}`);
  }
}

/** Whole lines to a descriptor that may have no room: it is waited for. */
class Writer {
  readonly #fd: number;
  #text = "";
  #isGone = false;
  #isDue = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    this.#text += `${line}\n`;
    if (this.#text.length >= BUFFER_BYTES) this.flush();
    if (this.#isDue) return;
    this.#isDue = true; // an application's handlers go on between iterations, on Bun's loop, as this does
    setImmediate(() => {
      this.#isDue = false;
      this.flush();
    });
  }

  flush(): void {
    let bytes = Buffer.from(this.#text);
    this.#text = "";
    while (bytes.length > 0 && !this.#isGone) {
      try {
        bytes = bytes.subarray(writeSync(this.#fd, bytes));
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === "EAGAIN") awaitRoom(this.#fd);
        else if (code === "EPIPE") this.#isGone = true; // who reads has gone, as in `| head`
        else {
          this.#isGone = true;
          showWarning(`the trace ends here, it cannot be written: ${message}`);
        }
      }
    }
  }

  close(): void {
    this.flush();
    if (this.#fd !== STDOUT) closeSync(this.#fd);
  }
}

function awaitRoom(fd: number): void {
  const epoll = new Epoll(undefined, untracedSyscalls()); // it is not the traced program's
  try {
    epoll.register(fd, EPOLLOUT);
    epoll.poll();
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
  } finally {
    epoll.close();
  }
}
