// A test server with asynchronous handlers: Bun's event loop runs between its iterations.

import { WAIT_TIMEOUT_MS } from "./eventually.ts";
import type { FetchHandler, EpollServerOptions, Socket } from "../../src/index.ts";
import type { Syscalls } from "../../src/kernel/ffi.ts";
import { ServerHarness } from "./server.ts";

/** A response that a client has received. */
export interface ReceivedResponse {
  status: number;
  /** By lowercase name. */
  headers: Record<string, string>;
  body: string;
}

export class FetchHarness extends ServerHarness {
  #isStarted = false;

  /** @param fetch undefined for a static response */
  constructor(fetch: FetchHandler | undefined, options: EpollServerOptions = {}, sys?: Syscalls) {
    super({ ...options, fetch }, sys);
  }

  /** Runs the server on Bun's event loop from now on, until `stop`. */
  async start(): Promise<void> {
    await this.server.start();
    this.#isStarted = true;
  }

  /** Runs iterations of both loops until the condition holds. Throws when the time limit is reached. */
  async until(isDone: () => boolean): Promise<void> {
    const deadline = Date.now() + WAIT_TIMEOUT_MS;
    while (!isDone()) {
      if (Date.now() > deadline) throw new Error(`the condition did not become true: ${isDone}`);
      if (!this.server.closed && !this.#isStarted) this.server.tick(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Runs iterations of both loops, to test that something does not happen. */
  async idle(iterations = 20): Promise<void> {
    for (let i = 0; i < iterations; i++) {
      if (!this.server.closed && !this.#isStarted) this.server.tick(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Receives until the text matches. */
  async text(client: Socket, until: RegExp): Promise<string> {
    let text = "";
    await this.until(() => {
      const bytes = client.recv(1_000_000);
      if (bytes !== null) text += Buffer.from(bytes).toString("latin1");
      if (until.test(text)) return true;
      if (bytes?.length === 0) throw new Error(`closed after ${JSON.stringify(text.slice(-300))}`);
      return false;
    });
    return text;
  }

  /** Receives until the connection closes. */
  async rest(client: Socket): Promise<string> {
    let text = "";
    await this.until(() => {
      const bytes = client.recv(1_000_000);
      if (bytes !== null) text += Buffer.from(bytes).toString("latin1");
      return bytes?.length === 0;
    });
    return text;
  }

  /** Sends a request with Connection: close, and returns the response. */
  async ask(head: string, body = ""): Promise<ReceivedResponse> {
    const client = this.client();
    client.send(Buffer.from(`${head}\r\nHost: a.test\r\nConnection: close\r\n\r\n${body}`, "latin1"));
    const [response] = parseResponses(await this.rest(client));
    if (response === undefined) throw new Error("no response");
    return response;
  }
}

/** Splits received text into responses, and decodes chunked bodies. */
export function parseResponses(text: string, isHead = false): ReceivedResponse[] {
  const responses: ReceivedResponse[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) throw new Error(`incomplete head: ${JSON.stringify(text.slice(at, at + 200))}`);
    const [line = "", ...fields] = text.slice(at, end).split("\r\n");
    const headers: Record<string, string> = {};
    for (const field of fields) {
      const name = field.slice(0, field.indexOf(":")).toLowerCase();
      const value = field.slice(field.indexOf(":") + 2);
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    }
    const status = Number(line.split(" ")[1]);
    at = end + 4;
    let body = "";
    if (headers["transfer-encoding"] === "chunked" && !isHead) {
      for (;;) {
        const lineEnd = text.indexOf("\r\n", at);
        const size = parseInt(text.slice(at, lineEnd), 16);
        if (lineEnd < 0 || !(size >= 0)) throw new Error(`malformed chunk: ${JSON.stringify(text.slice(at, at + 50))}`);
        at = lineEnd + 2;
        body += text.slice(at, at + size);
        at += size;
        if (text.slice(at, at + 2) !== "\r\n")
          throw new Error(`chunk does not end with CRLF: ${JSON.stringify(text.slice(at))}`);
        at += 2;
        if (size === 0) break;
      }
    } else if (!isHead && status >= 200) {
      const length = headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
      const isBodiless = status === 204 || status === 304;
      body = isBodiless ? "" : text.slice(at, length === undefined ? undefined : at + length);
      if (length !== undefined && !isBodiless && body.length < length) throw new Error("incomplete body");
      at += body.length;
    }
    responses.push({ status, headers, body });
  }
  return responses;
}
