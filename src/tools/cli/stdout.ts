// Prints lines to standard output without ever waiting for a slow reader, also while the loop blocks the thread.

import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { Epoll, EPOLLOUT, ErrnoError } from "../../index.ts";

let stdout = 1;
/** The largest write that does not block on a pipe that epoll has reported writable: PIPE_BUF, pipe(7). */
const MAX_WRITE_BYTES = 4096;
/** The limit of the queue for a slow reader. Beyond it, lines are dropped. */
const MAX_QUEUE_BYTES = 1_048_576;
const FLUSH_TIMEOUT_MS = 1_000;

let queue: Buffer[] = [];
let queuedBytes = 0;
let droppedLines = 0;
let isReaderGone = false;
let writability: Epoll | "always" | undefined;

/** Queues a line, and writes as much of the queue as fits. If the queue is full, the line is dropped and counted. */
export function printLine(line: string): void {
  write(0);
  if (queuedBytes >= MAX_QUEUE_BYTES) {
    droppedLines++;
    return;
  }
  if (droppedLines > 0) line = `(${droppedLines} lines dropped: standard output is not being read)\n${line}`;
  droppedLines = 0;
  const bytes = Buffer.from(`${line}\n`);
  queue.push(bytes);
  queuedBytes += bytes.length;
  write(0);
}

/** Writes a line to standard error. */
export function writeError(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // standard error is closed
  }
}

/** Writes the queued lines. If necessary, waits for room, for at most `FLUSH_TIMEOUT_MS` at a time. */
export function flushLines(): void {
  write(FLUSH_TIMEOUT_MS);
}

function write(timeoutMs: number): void {
  while (queuedBytes > 0 && !isReaderGone && isWritable(timeoutMs)) {
    const bytes = queue.length === 1 ? (queue[0] as Buffer) : Buffer.concat(queue);
    try {
      const written = writeSync(stdout, bytes, 0, wholeLines(bytes));
      queuedBytes = bytes.length - written;
      queue = queuedBytes > 0 ? [bytes.subarray(written)] : [];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return;
      isReaderGone = true; // EPIPE, as with `| head`
    }
  }
  if (isReaderGone) {
    queue = [];
    queuedBytes = 0;
  }
}

/** Returns how many bytes to write in one call: whole lines, so that the output of other processes does not split one. */
function wholeLines(bytes: Buffer): number {
  if (bytes.length <= MAX_WRITE_BYTES) return bytes.length;
  return bytes.lastIndexOf(10, MAX_WRITE_BYTES - 1) + 1 || MAX_WRITE_BYTES;
}

/**
 * Prepares for other processes that write to the same pipe.
 *
 * Another process may fill the pipe after epoll reported it writable, and a blocking write would stall the loop. Reopens the
 * pipe non-blocking, instead of changing the flags of the open file description that all processes share.
 */
export function shareOutput(): void {
  try {
    if (!fstatSync(stdout).isFIFO()) return;
    stdout = openSync(`/proc/self/fd/${stdout}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // ENXIO: the reader is gone. ENOENT: /proc is not mounted; writes may block then.
  }
}

function isWritable(timeoutMs: number): boolean {
  writability ??= watchStdout();
  return writability === "always" || writability.poll(timeoutMs, 1).length > 0;
}

function watchStdout(): Epoll | "always" {
  const epoll = new Epoll();
  try {
    epoll.register(stdout, EPOLLOUT);
    return epoll;
  } catch (error) {
    epoll.close();
    if (error instanceof ErrnoError) return "always"; // EPERM: a regular file, which never blocks
    throw error;
  }
}
