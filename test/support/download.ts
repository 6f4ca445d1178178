// A large reply, received and not kept: what its head says, and how much came, as a count and a hash.

import { EPOLLIN, type Socket, WOULD_BLOCK } from "../../src/index.ts";
import { until } from "./sockets.ts";

export interface Download {
  /** By lower-case name; the status line by the empty one. */
  headers: Record<string, string>;
  bytes: number;
  sha256: string;
}

/** Receive one reply, to its end: by chunks, by its length, or to the end of the connection. */
export function download(socket: Socket): Download {
  const intake = new Intake(socket);
  const headers: Record<string, string> = { "": intake.line() };
  for (let line; (line = intake.line()) !== "";) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  if (headers["transfer-encoding"] === "chunked") {
    for (;;) {
      const size = parseInt(intake.line(), 16);
      intake.pass(size);
      if (intake.line() !== "") throw new Error("a chunk is not as long as it says");
      if (size === 0) break;
    }
  } else {
    intake.pass(Number(headers["content-length"] ?? Infinity));
  }
  return { headers, bytes: intake.bytes, sha256: intake.hasher.digest("hex") };
}

class Intake {
  readonly hasher: Bun.CryptoHasher = new Bun.CryptoHasher("sha256");
  /** How many bytes have passed. */
  bytes: number = 0;
  readonly #socket: Socket;
  readonly #buffer: Buffer = Buffer.from(new ArrayBuffer(1_048_576));
  #start = 0;
  #end = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The next line, without its end. */
  line(): string {
    let end: number;
    while ((end = this.#buffer.subarray(0, this.#end).indexOf("\r\n", this.#start)) < 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
      if (!this.#fill()) throw new Error("closed in the midst of a line");
    }
    const text = this.#buffer.toString("latin1", this.#start, end);
    this.#start = end + 2;
    return text;
  }

  /** Count and hash so many bytes; `Infinity`: all to the end. */
  pass(count: number): void {
    for (let left = count; left > 0;) {
      if (this.#start === this.#end) {
        this.#start = this.#end = 0;
        if (this.#fill()) continue;
        if (left === Infinity) return;
        throw new Error(`closed with ${left} bytes still expected`);
      }
      const taken = Math.min(left, this.#end - this.#start);
      this.hasher.update(this.#buffer.subarray(this.#start, this.#start + taken));
      this.#start += taken;
      this.bytes += taken;
      left -= taken;
    }
  }

  #fill(): boolean {
    for (;;) {
      const count = this.#socket.recvInto(this.#buffer.subarray(this.#end));
      if (count !== WOULD_BLOCK) {
        this.#end += count;
        return count > 0;
      }
      until(this.#socket, EPOLLIN);
    }
  }
}
