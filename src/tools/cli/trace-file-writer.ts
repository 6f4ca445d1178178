// class TraceFileWriter: saves a trace in a file of limited size, which keeps its beginning and the newest events.

import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { TraceEvent } from "../../index.ts";
import { LineWriter } from "./line-writer.ts";
import { eventToJson } from "../trace-json.ts";

const COPY_BYTES = 1024 * 1024;
const READ_BYTES = 65_536;
const LF = 10;

/**
 * The file is a valid trace at any time. When it would exceed its limit, it is replaced by a shorter one, with rename(2): the
 * beginning of the trace up to its first wait, a `dropped` event, and the newest half.
 */
export class TraceFileWriter extends LineWriter {
  readonly #path: string;
  readonly #maxBytes: number;
  #size = 0;
  /** The beginning of the trace, which is kept: its lines, and the `seq` of its last event. */
  #head = "";
  #headSeq = 0;
  #isInHead = true;
  /** The first event that has not been written, and the last one. */
  #unwritten: TraceEvent | undefined;
  #last: TraceEvent | undefined;
  #dropped = 0;
  /** Kept open for the file that replaces this one, because the traced program may use up all file descriptors. */
  #reserveFd: number | undefined;

  /**
   * @param maxBytes the size limit; Infinity: none. It does not apply to devices and pipes.
   * @throws {Error} if the file cannot be written
   */
  constructor(path: string, maxBytes: number) {
    let fd: number;
    let isRegular: boolean;
    try {
      fd = openSync(path, "w");
      isRegular = fstatSync(fd).isFile();
      if (isRegular && maxBytes !== Infinity) fd = reopenReadable(fd, path);
    } catch (error) {
      throw new Error(`cannot write the trace file: ${(error as Error).message}`, { cause: error });
    }
    super(fd, path);
    this.#path = isRegular ? realpathSync(path) : path;
    this.#maxBytes = isRegular ? maxBytes : Infinity;
    if (this.#maxBytes === Infinity) return;
    this.#reserve();
    removeLeftovers(this.#path);
  }

  add(event: TraceEvent): void {
    const line = eventToJson(event);
    if (this.#isInHead) this.#extendHead(event, line);
    this.#unwritten ??= event;
    this.#last = event;
    this.write(line); // which may flush
  }

  override flush(): void {
    super.flush();
    this.#unwritten = undefined;
  }

  /** Closes the file. Returns a sentence about the events that were dropped; undefined if there are none. */
  close(): string | undefined {
    this.flush();
    closeSync(this.fd);
    this.#release();
    if (this.#dropped === 0 || this.hasFailed) return undefined;
    const total = this.#last?.seq ?? 0;
    return (
      `${this.#path} has ${(total - this.#dropped).toLocaleString("en-US")} events of ${total.toLocaleString("en-US")}: ` +
      `the first ${this.#headSeq.toLocaleString("en-US")} and the newest (--trace-max)`
    );
  }

  protected override makeRoom(bytes: number): void {
    if (this.#size + bytes > this.#maxBytes) this.#trim(bytes);
    this.#size += bytes;
  }

  /** Whatever precedes the first wait belongs to the beginning: the listening sockets and the epoll instance. */
  #extendHead(event: TraceEvent, line: string): void {
    this.#isInHead = event.type !== "wait" && this.#head.length + line.length < this.#maxBytes / 4;
    if (!this.#isInHead) return;
    this.#head += `${line}\n`;
    this.#headSeq = event.seq;
  }

  /** Replaces the file by one with room for `bytes`. */
  #trim(bytes: number): void {
    const temporary = temporaryPath(this.#path, process.pid);
    rmSync(temporary, { force: true }); // left by a thread or process with this pid that was killed
    this.#release();
    try {
      const output = openSync(temporary, "wx+", fstatSync(this.fd).mode & 0o777);
      try {
        const size = this.#copyNewest(output, bytes);
        renameSync(temporary, this.#path);
        closeSync(this.fd);
        this.fd = output;
        this.#size = size;
      } catch (error) {
        closeSync(output);
        rmSync(temporary, { force: true });
        throw error;
      }
    } finally {
      this.#reserve();
    }
  }

  #reserve(): void {
    try {
      this.#reserveFd = openSync("/dev/null", "r");
    } catch {
      // no file descriptor is free; the next replacement may still find one
    }
  }

  #release(): void {
    if (this.#reserveFd !== undefined) closeSync(this.#reserveFd);
    this.#reserveFd = undefined;
  }

  /** Returns the size of the new file. */
  #copyNewest(output: number, bytes: number): number {
    const input = this.fd;
    const head = Buffer.from(this.#head);
    const wanted = Math.max(head.length, this.#size - Math.max(0, Math.floor(this.#maxBytes / 2) - bytes));
    const { start, next } = findLine(input, wanted, this.#size);
    const { seq, us, iteration } = next ?? (this.#unwritten as TraceEvent);
    this.#dropped = seq - 1 - this.#headSeq;
    const dropped: TraceEvent = { seq: seq - 1, us, iteration, type: "dropped", events: this.#dropped };
    const first = Buffer.concat([head, Buffer.from(this.#dropped > 0 ? `${eventToJson(dropped)}\n` : "")]);
    writeAll(output, first);
    return first.length + copy(input, output, start, this.#size);
  }
}

/** The file that replaces `path`, until it is complete. */
function temporaryPath(path: string, pid: number | string): string {
  return join(dirname(path), `.${basename(path)}.${pid}.tmp`);
}

/** Removes what processes have left that were killed while they replaced the file. */
function removeLeftovers(path: string): void {
  try {
    for (const name of readdirSync(dirname(path))) {
      const [, pid = "0"] = /\.(\d+)\.tmp$/.exec(name) ?? [];
      const leftover = temporaryPath(path, pid);
      if (basename(leftover) === name && !existsSync(`/proc/${pid}`)) rmSync(leftover, { force: true });
    }
  } catch {
    // a folder that cannot be read, or no file descriptor is free: they stay
  }
}

/** Opens a regular file for reading, too. A pipe stays open for writing only: otherwise this process would be its reader. */
function reopenReadable(fd: number, path: string): number {
  try {
    return openSync(path, "r+");
  } finally {
    closeSync(fd);
  }
}

/** Finds the first line that begins at `from` or later, and its event. Without such a line, returns the end of the file. */
function findLine(fd: number, from: number, size: number): { start: number; next: TraceEvent | undefined } {
  const start = from === 0 ? 0 : endOfLine(fd, from - 1, size);
  if (start >= size) return { start: size, next: undefined };
  const line = Buffer.alloc(endOfLine(fd, start, size) - start);
  readSync(fd, line, 0, line.length, start);
  return { start, next: JSON.parse(line.toString()) as TraceEvent };
}

/** Returns the position after the next line feed. */
function endOfLine(fd: number, from: number, size: number): number {
  const buffer = Buffer.alloc(READ_BYTES);
  for (let position = from; position < size;) {
    const length = readSync(fd, buffer, 0, buffer.length, position);
    if (length === 0) break;
    const index = buffer.subarray(0, length).indexOf(LF);
    if (index >= 0) return position + index + 1;
    position += length;
  }
  return size;
}

/** Copies a part of a file; returns its length. */
function copy(input: number, output: number, start: number, end: number): number {
  const buffer = Buffer.alloc(Math.max(0, Math.min(COPY_BYTES, end - start)));
  for (let position = start; position < end;) {
    const length = readSync(input, buffer, 0, Math.min(buffer.length, end - position), position);
    if (length === 0) throw new Error("the trace file has been truncated by another process");
    writeAll(output, buffer.subarray(0, length));
    position += length;
  }
  return end - start;
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(writeSync(fd, rest));
}
