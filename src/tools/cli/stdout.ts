// Prints lines to standard output and standard error without waiting for a slow reader, also while the loop blocks the thread.

import { Epoll, EPOLLOUT, ErrnoError } from "../../index.ts";
import { check } from "../../kernel/errors.ts";
import { escapeLines } from "../../kernel/escape-controls.ts";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import { EXIT_FAILURE, isSignalExitCode } from "./exit-codes.ts";

/** The largest write that does not block on a pipe that epoll has reported writable: PIPE_BUF, pipe(7). */
const MAX_WRITE_BYTES = 4096;
/** The limit of the queue for a slow reader. Beyond it, lines are dropped. */
const MAX_QUEUE_BYTES = 1_048_576;
const FLUSH_TIMEOUT_MS = 1_000;

const failed = new Set<string>();
let onFailure: ((message: string) => void) | undefined;

/** Sets the function that reports a failure to write output, once for each output. */
export function onOutputFailure(callback: (message: string) => void): void {
  onFailure = callback;
}

/**
 * Records that output is lost, so that the exit code says so. A reader that has closed the pipe, as `head` does, is not a failure.
 *
 * @param output a file, or the name of a standard stream
 */
export function reportOutputFailure(output: string, message: string): void {
  if (failed.has(output)) return;
  failed.add(output);
  onFailure?.(`cannot write to ${output}: ${message}`);
}

/** Writes what is queued. Returns the exit code of the process: 1 if output is lost, unless `exitCode` reports another failure. */
export function finishOutput(exitCode: number): number {
  flushLines();
  stderr.write(FLUSH_TIMEOUT_MS);
  return failed.size > 0 && (exitCode === 0 || isSignalExitCode(exitCode)) ? EXIT_FAILURE : exitCode;
}

/**
 * Queues a line, and writes as much of the queue as fits. If the queue is full, the line is dropped and counted. Characters that
 * could control a terminal are escaped: the line may contain text from files, clients or names.
 */
export function printLine(line: string): void {
  stdout.print(escapeLines(line));
}

/** Writes a line to standard error in the same way. */
export function writeError(line: string): void {
  stderr.print(escapeLines(line));
}

/** Prints a line with color. All parts of it that the command hasn't written itself must have been escaped by `escapeControls`. */
export function printColored(line: string): void {
  stdout.print(line);
}

/** Writes such a line to standard error. */
export function writeColoredError(line: string): void {
  stderr.print(line);
}

/** Writes the queued lines. If necessary, waits for room, for at most `FLUSH_TIMEOUT_MS` at a time. */
export function flushLines(): void {
  stdout.write(FLUSH_TIMEOUT_MS);
}

/**
 * Prepares for other processes that write to the same pipes.
 *
 * Another process may fill the pipe after epoll reported it writable, and a blocking write would stall the loop. Reopens the
 * pipe non-blocking, instead of changing the flags of the open file description that all processes share.
 */
export function shareOutput(): void {
  stdout.share();
  stderr.share();
}

class LineOutput {
  #fd: number;
  readonly #name: string;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #droppedLines = 0;
  #isClosed = false;
  #writability: Epoll | "always" | undefined;

  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  print(line: string): void {
    this.write(0);
    if (this.#isClosed) return;
    if (this.#queuedBytes >= MAX_QUEUE_BYTES) {
      this.#droppedLines++;
      return;
    }
    if (this.#droppedLines > 0)
      line = `(${this.#droppedLines} lines dropped: ${this.#name} is not being read)\n${line}`;
    this.#droppedLines = 0;
    const bytes = Buffer.from(`${line}\n`);
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.write(0);
  }

  write(timeoutMs: number): void {
    while (this.#queuedBytes > 0 && this.#isWritable(timeoutMs)) {
      const bytes = this.#queue.length === 1 ? (this.#queue[0] as Buffer) : Buffer.concat(this.#queue);
      try {
        const written = this.#writeBytes(bytes, wholeLines(bytes));
        this.#queuedBytes = bytes.length - written;
        this.#queue = this.#queuedBytes > 0 ? [bytes.subarray(written)] : [];
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        if (code === "EAGAIN") return;
        this.#isClosed = true;
        this.#queue = [];
        this.#queuedBytes = 0;
        if (code !== "EPIPE") reportOutputFailure(this.#name, message);
      }
    }
  }

  share(): void {
    const { constants, fstatSync, openSync } = nodeFs();
    try {
      if (!fstatSync(this.#fd).isFIFO()) return;
      this.#fd = openSync(`/proc/self/fd/${this.#fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      // ENXIO: the reader is gone. ENOENT: /proc is not mounted; writes may block then.
    }
  }

  #isWritable(timeoutMs: number): boolean {
    const writability = (this.#writability ??= this.#watch());
    return writability === undefined || writability === "always" || writability.poll(timeoutMs, 1).length > 0;
  }

  /** Uses node:fs, which takes 2 ms to load, only if epoll failed: then there may be no system calls to use. */
  #writeBytes(bytes: Buffer, length: number): number {
    if (this.#writability === undefined) return nodeFs().writeSync(this.#fd, bytes, 0, length);
    return check(untracedSyscalls().write(this.#fd, bytes, 0, length), "write");
  }

  /** Returns undefined if that fails, because no fd is left or epoll is not available: the error must still be printed. */
  #watch(): Epoll | "always" | undefined {
    let epoll: Epoll | undefined;
    try {
      epoll = new Epoll(undefined, untracedSyscalls()); // its calls do not belong to a traced program
      epoll.register(this.#fd, EPOLLOUT);
      return epoll;
    } catch (error) {
      if (epoll === undefined) return undefined;
      epoll.close();
      return error instanceof ErrnoError && error.code === "EPERM" ? "always" : undefined; // EPERM: a regular file
    }
  }
}

/** Returns how many bytes to write in one call: whole lines, so that the output of other processes does not split one. */
function wholeLines(bytes: Buffer): number {
  if (bytes.length <= MAX_WRITE_BYTES) return bytes.length;
  return bytes.lastIndexOf(10, MAX_WRITE_BYTES - 1) + 1 || MAX_WRITE_BYTES;
}

const stdout = new LineOutput(1, "standard output");
const stderr = new LineOutput(2, "standard error");
