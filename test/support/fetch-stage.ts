// A Stage whose server has handlers that wait: Bun's event loop turns between its iterations.

import type { FetchHandler, EpollServerOptions, Socket } from "../../src/index.ts";
import { Stage } from "./server.ts";

/** What a client has received, as replies. */
export interface Received {
  status: number;
  /** By lower-case name. */
  headers: Record<string, string>;
  body: string;
}

export class FetchStage extends Stage {
  /** @param fetch undefined: the static response */
  constructor(fetch: FetchHandler | undefined, options: EpollServerOptions = {}) {
    super({ ...options, fetch });
  }

  /** Iterations, with turns of Bun's loop between them, until it is so; fails by its own bound. */
  async until(isSo: () => boolean): Promise<void> {
    for (let iterations = 0; !isSo(); iterations++) {
      if (iterations > 20_000) throw new Error(`it never came to be: ${isSo}`);
      if (!this.server.closed) this.server.tick(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Iterations and turns, so many: for what shall not happen. */
  async idle(iterations = 20): Promise<void> {
    for (let i = 0; i < iterations; i++) {
      if (!this.server.closed) this.server.tick(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** What comes until it matches. */
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

  /** All that comes, to the end. */
  async rest(client: Socket): Promise<string> {
    let text = "";
    await this.until(() => {
      const bytes = client.recv(1_000_000);
      if (bytes !== null) text += Buffer.from(bytes).toString("latin1");
      return bytes?.length === 0;
    });
    return text;
  }

  /** Send a request as the last one, and return its reply. */
  async ask(head: string, body = ""): Promise<Received> {
    const client = this.client();
    client.send(Buffer.from(`${head}\r\nHost: a.test\r\nConnection: close\r\n\r\n${body}`, "latin1"));
    const [reply] = parseReplies(await this.rest(client));
    if (reply === undefined) throw new Error("no reply");
    return reply;
  }
}

/** Split what came into replies by their lengths; bodies by chunks are put together. */
export function parseReplies(text: string, isHead = false): Received[] {
  const replies: Received[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) throw new Error(`no head: ${JSON.stringify(text.slice(at, at + 200))}`);
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
        if (lineEnd < 0 || !(size >= 0)) throw new Error(`a bad chunk: ${JSON.stringify(text.slice(at, at + 50))}`);
        at = lineEnd + 2;
        body += text.slice(at, at + size);
        at += size;
        if (text.slice(at, at + 2) !== "\r\n")
          throw new Error(`a chunk without end: ${JSON.stringify(text.slice(at))}`);
        at += 2;
        if (size === 0) break;
      }
    } else if (!isHead && status >= 200) {
      const length = headers["content-length"] === undefined ? undefined : Number(headers["content-length"]);
      const none = status === 204 || status === 304;
      body = none ? "" : text.slice(at, length === undefined ? undefined : at + length);
      if (length !== undefined && !none && body.length < length) throw new Error("the body is too short");
      at += body.length;
    }
    replies.push({ status, headers, body });
  }
  return replies;
}
