// An HTTP connection of a soak's client, on Bun's sockets and not on this library.

import type { Socket } from "bun";

export interface Reply {
  status: number;
  head: string;
  body: Buffer;
}

/** Why a request has no reply. */
export class NoReply extends Error {}

const HEAD_END = "\r\n\r\n";
/** How long a request may take: far longer than any of the server's own timeouts that apply to a prompt client. */
const REPLY_TIMEOUT_MS = 60_000;

/** A connection with any number of pipelined requests. */
export class HttpConnection {
  isClosed = false;
  /** Called with each piece that is received, instead of parsing it. */
  onData: ((bytes: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;
  #socket: Socket | undefined;
  #unsent: Buffer = Buffer.alloc(0);
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** How many bytes the reply needs that is being received. */
  #wantedBytes = 0;
  /** Replies that arrived before they were asked for, such as a rejection of an upload. */
  readonly #early: Reply[] = [];
  readonly #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = [];

  static async open(hostname: string, port: number): Promise<HttpConnection> {
    const connection = new HttpConnection();
    const onEnd = (): void => connection.#onEnd();
    connection.#socket = await Bun.connect({
      hostname,
      port,
      socket: {
        data: (_, bytes) => connection.#onBytes(bytes),
        drain: () => connection.#flush(),
        end: onEnd,
        close: onEnd,
        error: onEnd,
      },
    });
    return connection;
  }

  /** Sends a request. Resolves with its reply, in the order of the requests. */
  ask(request: string | Uint8Array): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const early = this.#early.shift();
    if (early !== undefined) return Promise.resolve(early);
    if (this.isClosed) return Promise.reject(new NoReply("the connection was closed before the request"));
    const timer = setTimeout(() => {
      const { localPort } = this.#socket ?? {};
      const state = `${this.#receivedBytes} bytes received, ${this.#unsent.length} unsent`;
      reject(new NoReply(`no reply in ${REPLY_TIMEOUT_MS} ms on port ${localPort}: ${state}`));
    }, REPLY_TIMEOUT_MS);
    this.#waiting.push({ resolve, reject });
    this.send(request);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Waits for a reply to what has been sent with `send`. */
  reply(): Promise<Reply> {
    return this.ask("");
  }

  send(bytes: string | Uint8Array): void {
    if (bytes.length === 0 || this.isClosed) return;
    this.#unsent = Buffer.concat([this.#unsent, typeof bytes === "string" ? Buffer.from(bytes) : bytes]);
    this.#flush();
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  close(): void {
    this.#socket?.end();
  }

  /** Closes with a reset (RST). */
  reset(): void {
    this.#socket?.terminate();
  }

  #flush(): void {
    if (this.#unsent.length === 0 || this.isClosed) return;
    const sent = this.#socket?.write(this.#unsent) ?? 0;
    if (sent > 0) this.#unsent = this.#unsent.subarray(sent);
  }

  #onBytes(bytes: Buffer): void {
    if (this.onData !== undefined) return this.onData(bytes);
    this.#received.push(Buffer.from(bytes)); // Bun reuses the memory
    this.#receivedBytes += bytes.length;
    while (this.#receivedBytes > 0 && this.#receivedBytes >= this.#wantedBytes && this.#takeReply());
  }

  /** Takes one reply from what has been received. Returns whether it is complete. */
  #takeReply(): boolean {
    const all = this.#received.length === 1 ? (this.#received[0] as Buffer) : Buffer.concat(this.#received);
    this.#received = [all];
    const headBytes = all.indexOf(HEAD_END) + HEAD_END.length;
    if (headBytes < HEAD_END.length) return false;
    const head = all.toString("latin1", 0, headBytes);
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1] ?? 0);
    this.#wantedBytes = headBytes + length;
    if (all.length < this.#wantedBytes) return false;
    const reply = { status: Number(head.slice(9, 12)), head, body: all.subarray(headBytes, this.#wantedBytes) };
    this.#received = [all.subarray(this.#wantedBytes)];
    this.#receivedBytes = all.length - this.#wantedBytes;
    this.#wantedBytes = 0;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#early.push(reply);
    else waiting.resolve(reply);
    return true;
  }

  #onEnd(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const message = `the connection was closed after ${this.#receivedBytes} bytes of the reply`;
    for (const { reject } of this.#waiting.splice(0)) reject(new NoReply(message));
    this.onClose?.();
    this.#socket?.end();
  }
}
