// Lines on standard output, written at once: while the loop blocks the thread, nothing that waits for Bun's loop gets out.

import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { Epoll, EPOLLOUT, ErrnoError } from "../../index.ts";

let stdout = 1;
/** A pipe that epoll calls writable takes this much without waiting (PIPE_BUF, see pipe(7)). */
const WRITE_BYTES = 4096;
/** What is kept for a reader who is slow; a server does not stop for one. */
const QUEUE_BYTES = 1_048_576;
const FLUSH_MS = 1_000;

let queue: Buffer[] = [];
let queued = 0;
let skipped = 0;
let isGone = false;
let room: Epoll | "always" | undefined;

/** Write a line, now or with a later one: it never waits for room. Beyond a bound, lines are counted instead of kept. */
export function printLine(line: string): void {
  write(0);
  if (queued >= QUEUE_BYTES) {
    skipped++;
    return;
  }
  if (skipped > 0) line = `(${skipped} lines were left out: standard output is not being read)\n${line}`;
  skipped = 0;
  const bytes = Buffer.from(`${line}\n`);
  queue.push(bytes);
  queued += bytes.length;
  write(0);
}

/** Write a line to standard error, where standard output is somebody else's. */
export function printAside(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // nobody is there to hear it
  }
}

/** Write what is left, and wait a moment for it if need be. */
export function flushLines(): void {
  write(FLUSH_MS);
}

function write(timeoutMs: number): void {
  while (queued > 0 && !isGone && hasRoom(timeoutMs)) {
    const bytes = queue.length === 1 ? (queue[0] as Buffer) : Buffer.concat(queue);
    try {
      const written = writeSync(stdout, bytes, 0, wholeLines(bytes));
      queued = bytes.length - written;
      queue = queued > 0 ? [bytes.subarray(written)] : [];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return;
      isGone = true; // EPIPE: the reader has gone away, as in `| head`
    }
  }
  if (isGone) {
    queue = [];
    queued = 0;
  }
}

/** As many as may go out at once; those of other processes shall not come in the middle of one. */
function wholeLines(bytes: Buffer): number {
  if (bytes.length <= WRITE_BYTES) return bytes.length;
  return bytes.lastIndexOf(10, WRITE_BYTES - 1) + 1 || WRITE_BYTES;
}

/**
 * Other processes write to standard output, too: what epoll calls writable may be full a moment later, and a write wait for
 * its reader. Of a pipe, have an end of our own that never waits; not the one that all share, whose manners are not ours to change.
 */
export function shareOutput(): void {
  try {
    if (!fstatSync(stdout).isFIFO()) return;
    stdout = openSync(`/proc/self/fd/${stdout}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // ENXIO: the reader has gone; no /proc. It goes on as before.
  }
}

function hasRoom(timeoutMs: number): boolean {
  room ??= watchRoom();
  return room === "always" || room.poll(timeoutMs, 1).length > 0;
}

function watchRoom(): Epoll | "always" {
  const epoll = new Epoll();
  try {
    epoll.register(stdout, EPOLLOUT);
    return epoll;
  } catch (error) {
    epoll.close();
    if (error instanceof ErrnoError) return "always"; // EPERM: a file, which never makes anyone wait
    throw error;
  }
}

/** Make what a client sent harmless for a terminal: control and non-ASCII bytes as `\x1b`; and not longer than a line. */
export function printable(text: string, most = 200): string {
  const cut = text.length > most ? `${text.slice(0, most)}...` : text;
  // oxlint-disable-next-line no-control-regex -- exactly those
  return cut.replace(/[^\x20-\x7e]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** What is read in a terminal is no wider. */
const WIDTH = 80;

/** A sentence as lines. */
export function wrap(sentence: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of sentence.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
