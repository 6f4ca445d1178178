// Clients that send requests continuously, on new and on keep-alive connections, and count the outcomes.

import type { Socket, TCPSocketConnectOptions } from "bun";

/** The numbers of outcomes. */
export interface Tally {
  /** Requests with a complete 200 response. */
  answered: number;
  /** Connections that were refused. */
  refused: number;
  /** Requests without a response: the connection was closed or reset. */
  lost: number;
}

export type Target = { hostname: string; port: number } | { unix: string };

const LENGTH = /\r\nContent-Length: (\d+)\r\n/i;

export class Load {
  readonly tally: Tally = { answered: 0, refused: 0, lost: 0 };
  connections: number = 0;
  readonly #target: Target;
  readonly #clients: Promise<void>[];
  #isStopping = false;
  #waiters: { count: number; resolve: () => void }[] = [];

  constructor(target: Target, { kept, fresh }: { kept: number; fresh: number }) {
    this.#target = target;
    this.#clients = Array.from({ length: kept + fresh }, (_, i) => this.#ask(i < kept));
  }

  /** Waits for `count` more responses. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => this.#waiters.push({ count: this.tally.answered + count, resolve }));
  }

  async stop(): Promise<Tally> {
    this.#isStopping = true;
    await Promise.all(this.#clients);
    return this.tally;
  }

  async #ask(isKept: boolean): Promise<void> {
    let connection: Connection | undefined;
    while (!this.#isStopping) {
      try {
        if (connection === undefined) this.connections++;
        connection ??= await Connection.open(this.#target);
      } catch {
        this.tally.refused++;
        continue;
      }
      const response = await connection.ask(
        `GET /${isKept} HTTP/1.1\r\nHost: a\r\n${isKept ? "" : "Connection: close\r\n"}\r\n`,
      );
      if (response?.startsWith("HTTP/1.1 200 ")) this.#count();
      else this.tally.lost++;
      if (response !== undefined && isKept && !/\r\nConnection: close\r\n/i.test(response)) continue;
      connection.close();
      connection = undefined;
    }
    connection?.close();
  }

  #count(): void {
    const answered = ++this.tally.answered;
    this.#waiters = this.#waiters.filter(({ count, resolve }) => {
      if (answered >= count) resolve();
      return answered < count;
    });
  }
}

/** A connection with one request at a time. */
class Connection {
  #socket: Socket | undefined;
  #text = "";
  #done: ((response: string | undefined) => void) | undefined;
  #isClosed = false;

  static async open(target: Target): Promise<Connection> {
    const connection = new Connection();
    const onEnd = (): void => {
      connection.#isClosed = true;
      connection.#done?.(undefined);
    };
    const data = (_: Socket, bytes: Buffer): void => connection.#onData(bytes.toString("latin1"));
    connection.#socket = await Bun.connect({
      ...target,
      socket: { data, end: onEnd, close: onEnd, error: onEnd },
    } as TCPSocketConnectOptions);
    return connection;
  }

  /** Sends a request. Returns the response, or undefined if the connection ends first. */
  ask(request: string): Promise<string | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket?.write(request);
    });
  }

  close(): void {
    this.#socket?.end();
  }

  #onData(text: string): void {
    this.#text += text;
    const head = this.#text.indexOf("\r\n\r\n");
    if (head < 0) return;
    const [, length = "0"] = LENGTH.exec(this.#text) ?? [];
    if (this.#text.length < head + 4 + Number(length)) return;
    const response = this.#text;
    this.#text = "";
    this.#done?.(response);
  }
}
