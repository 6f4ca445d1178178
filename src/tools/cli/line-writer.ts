// class LineWriter: writes whole lines to an fd, and waits while it is not writable. No line is dropped.

import { writeSync } from "node:fs";
import { Epoll, EPOLLOUT, ErrnoError } from "../../index.ts";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import { reportOutputFailure } from "./stdout.ts";

export const STDOUT = 1;
export const STDERR = 2;

/** Lines are buffered until `flush`, until control returns to Bun's event loop, or until this many characters are buffered. */
const BUFFER_LENGTH = 65_536;

export class LineWriter {
  /** Nothing more can be written: the disk is full, or the reader has closed the pipe. Lines are dropped. */
  hasFailed: boolean = false;
  readonly #name: string;
  #fd: number;
  #text = "";
  #isFlushScheduled = false;

  /** @param name the name of the output in error messages */
  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  get fd(): number {
    return this.#fd;
  }

  /** Writes to another fd from now on. */
  set fd(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    if (this.hasFailed) return;
    this.#text += `${line}\n`;
    if (this.#text.length >= BUFFER_LENGTH) this.flush();
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true; // an app's handlers also run between iterations, on Bun's event loop
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#text === "") return;
    let bytes = Buffer.from(this.#text);
    this.#text = "";
    try {
      this.makeRoom(bytes.length);
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException);
    }
    while (bytes.length > 0 && !this.hasFailed) {
      try {
        bytes = bytes.subarray(writeSync(this.#fd, bytes));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EAGAIN") waitUntilWritable(this.#fd);
        else this.#fail(error as NodeJS.ErrnoException);
      }
    }
  }

  /**
   * Called before bytes are written.
   *
   * @throws {Error} if there is no room for them
   */
  protected makeRoom(_bytes: number): void {}

  #fail({ code, message }: NodeJS.ErrnoException): void {
    this.hasFailed = true;
    if (code === "EPIPE" && this.#fd <= STDERR) return; // as with `| head`
    reportOutputFailure(this.#name, message);
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
