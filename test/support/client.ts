// A blocking client of a server in another process: sends requests, waits for responses, and closes or resets.

import { ECONNRESET } from "../../src/kernel/errno.ts";
import {
  type Address,
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EPOLLIN,
  EPOLLOUT,
  ErrnoError,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  Socket,
  SOL_SOCKET,
  WOULD_BLOCK,
} from "../../src/index.ts";
import { until } from "./sockets.ts";

/** A response that the client has received. */
export interface ClientResponse {
  status: number;
  /** The status line. */
  line: string;
  /** By lowercase name. */
  headers: Record<string, string>;
  body: string;
}

export class Client implements Disposable {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #buffer: Buffer = Buffer.from(new ArrayBuffer(262_144));

  /** Connects, waits until the connection is established, and sends `text`. */
  constructor(address: Address, text: string | Uint8Array = "") {
    const family = "path" in address ? AF_UNIX : address.family === "IPv6" ? AF_INET6 : AF_INET;
    this.socket = new Socket(family);
    try {
      if (!this.socket.connect(address)) {
        until(this.socket, EPOLLOUT);
        const errno = this.socket.getsockopt(SOL_SOCKET, SO_ERROR);
        if (errno !== 0) throw new ErrnoError(errno, "connect");
      }
      this.send(text);
    } catch (error) {
      this.socket.close();
      throw error;
    }
  }

  /** Sends everything, waiting for space in the send queue if necessary. */
  send(text: string | Uint8Array): void {
    const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : text;
    for (let sent = 0; sent < bytes.length;) {
      const n = this.socket.send(bytes.subarray(sent));
      if (n === WOULD_BLOCK) until(this.socket, EPOLLOUT);
      else sent += n;
    }
  }

  /** Waits for the next response, whose body has the length of Content-Length. Reads only the head if `isHead`. */
  readResponse(isHead = false): ClientResponse {
    for (;;) {
      const end = this.#bytes.indexOf("\r\n\r\n");
      if (end >= 0) {
        const [line = "", ...fields] = this.#bytes.toString("latin1", 0, end).split("\r\n");
        const headers = Object.fromEntries(
          fields.map((field) => [
            field.slice(0, field.indexOf(":")).toLowerCase(),
            field.slice(field.indexOf(":") + 2),
          ]),
        );
        const size = end + 4 + (isHead ? 0 : Number(headers["content-length"] ?? 0));
        this.#fill(size);
        const body = this.#bytes.toString("latin1", end + 4, size);
        this.#bytes = this.#bytes.subarray(size);
        return { status: Number(line.split(" ")[1]), line, headers, body };
      }
      this.#fill(this.#bytes.length + 1);
    }
  }

  /** Waits for `count` bytes and discards them. */
  take(count: number): void {
    while (count > 0) {
      const n = this.#receive();
      if (n === 0) throw new Error(`closed with ${count} bytes still expected`);
      count -= n;
    }
  }

  /** Returns everything up to the end of stream. Throws if the connection is reset. */
  rest(): string {
    const parts = [this.#bytes];
    for (let n; (n = this.#receive()) > 0;) parts.push(Buffer.from(this.#buffer.subarray(0, n)));
    this.#bytes = Buffer.alloc(0);
    return Buffer.concat(parts).toString("latin1");
  }

  /** Reads until the end of the connection. Returns "reset" if the connection was reset. */
  fate(): "end" | "reset" {
    try {
      while (this.#receive() > 0);
      return "end";
    } catch (error) {
      if (error instanceof ErrnoError && error.errno === -ECONNRESET) return "reset";
      throw error;
    }
  }

  /** Shuts down the send direction. */
  end(): void {
    this.socket.shutdown(SHUT_WR);
  }

  close(): void {
    this.socket.close();
  }

  /** Resets the connection. */
  reset(): void {
    this.socket.setsockopt(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
    this.socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #fill(size: number): void {
    while (this.#bytes.length < size) {
      const n = this.#receive();
      if (n === 0) throw new Error(`closed in the middle of ${JSON.stringify(this.#bytes.toString("latin1", 0, 300))}`);
      this.#bytes = Buffer.concat([this.#bytes, this.#buffer.subarray(0, n)]);
    }
  }

  #receive(): number {
    for (;;) {
      const n = this.socket.recvInto(this.#buffer);
      if (n !== WOULD_BLOCK) return n;
      until(this.socket, EPOLLIN);
    }
  }
}

/** Sends one request on its own connection, as curl does, and returns the response. */
export function ask(address: Address, text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"): ClientResponse {
  using client = new Client(address, text);
  const response = client.readResponse(text.startsWith("HEAD"));
  const rest = client.rest();
  if (rest !== "") throw new Error(`more than one response: ${JSON.stringify(rest)}`);
  return response;
}

/** The four combinations of keepAlive and eager. */
export const modes = {
  classic: { keepAlive: false, eager: false },
  "classic, keepAlive": { keepAlive: true, eager: false },
  "eager, one request each": { keepAlive: false, eager: true },
  eager: { keepAlive: true, eager: true },
} as const;

export type Mode = keyof typeof modes;
export const modeNames = Object.keys(modes) as Mode[];
