// Receives a large response without storing its body: the headers, and the length and hash of the body.

import { EPOLLIN, type Socket, WOULD_BLOCK } from "../../src/index.ts";
import { until } from "./sockets.ts";

/** A response whose body was hashed. */
export interface Download {
  /** By lowercase name. The status line has the empty name. */
  headers: Record<string, string>;
  bytes: number;
  sha256: string;
}

/** Receives one response: chunked, with Content-Length, or until the connection closes. */
export function download(socket: Socket): Download {
  const reader = new Reader(socket);
  const headers: Record<string, string> = { "": reader.line() };
  for (let line; (line = reader.line()) !== "";) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  if (headers["transfer-encoding"] === "chunked") {
    for (;;) {
      const size = parseInt(reader.line(), 16);
      reader.hash(size);
      if (reader.line() !== "") throw new Error("a chunk does not match its size");
      if (size === 0) break;
    }
  } else {
    reader.hash(Number(headers["content-length"] ?? Infinity));
  }
  return { headers, bytes: reader.bytes, sha256: reader.hasher.digest("hex") };
}

class Reader {
  readonly hasher: Bun.CryptoHasher = new Bun.CryptoHasher("sha256");
  /** Bytes hashed so far. */
  bytes: number = 0;
  readonly #socket: Socket;
  readonly #buffer: Buffer = Buffer.from(new ArrayBuffer(1_048_576));
  #start = 0;
  #end = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Returns the next line without its line ending. */
  line(): string {
    let end: number;
    while ((end = this.#buffer.subarray(0, this.#end).indexOf("\r\n", this.#start)) < 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
      if (!this.#fill()) throw new Error("the connection closed within a line");
    }
    const text = this.#buffer.toString("latin1", this.#start, end);
    this.#start = end + 2;
    return text;
  }

  /** Counts and hashes the next bytes; `Infinity` means until the connection closes. */
  hash(count: number): void {
    for (let left = count; left > 0;) {
      if (this.#start === this.#end) {
        this.#start = this.#end = 0;
        if (this.#fill()) continue;
        if (left === Infinity) return;
        throw new Error(`the connection closed with ${left} bytes missing`);
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
