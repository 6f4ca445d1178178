// Clients that ask without a pause, on new connections and on kept ones, and count what became of every request.

import type { Socket, TCPSocketConnectOptions } from "bun";

export interface Tally {
  /** Requests that were answered in full with 200. */
  answered: number;
  /** Connections that could not be made. */
  refused: number;
  /** Requests without an answer: the connection was closed, or reset. */
  lost: number;
}

export type Target = { hostname: string; port: number } | { unix: string };

const LENGTH = /\r\nContent-Length: (\d+)\r\n/i;

export class Load {
  readonly tally: Tally = { answered: 0, refused: 0, lost: 0 };
  connections: number = 0;
  readonly #target: Target;
  readonly #clients: Promise<void>[];
  #isOver = false;
  #answers: { count: number; resolve: () => void }[] = [];

  constructor(target: Target, { kept, fresh }: { kept: number; fresh: number }) {
    this.#target = target;
    this.#clients = Array.from({ length: kept + fresh }, (_, i) => this.#ask(i < kept));
  }

  /** Wait for so many more answers. */
  more(count: number): Promise<void> {
    return new Promise((resolve) => this.#answers.push({ count: this.tally.answered + count, resolve }));
  }

  async stop(): Promise<Tally> {
    this.#isOver = true;
    await Promise.all(this.#clients);
    return this.tally;
  }

  async #ask(isKept: boolean): Promise<void> {
    let connection: Connection | undefined;
    while (!this.#isOver) {
      try {
        if (connection === undefined) this.connections++;
        connection ??= await Connection.open(this.#target);
      } catch {
        this.tally.refused++;
        continue;
      }
      const reply = await connection.ask(
        `GET /${isKept} HTTP/1.1\r\nHost: a\r\n${isKept ? "" : "Connection: close\r\n"}\r\n`,
      );
      if (reply?.startsWith("HTTP/1.1 200 ")) this.#count();
      else this.tally.lost++;
      if (reply !== undefined && isKept && !/\r\nConnection: close\r\n/i.test(reply)) continue;
      connection.close();
      connection = undefined;
    }
    connection?.close();
  }

  #count(): void {
    const answered = ++this.tally.answered;
    this.#answers = this.#answers.filter(({ count, resolve }) => {
      if (answered >= count) resolve();
      return answered < count;
    });
  }
}

/** A connection that asks one thing at a time. */
class Connection {
  #socket: Socket | undefined;
  #text = "";
  #done: ((reply: string | undefined) => void) | undefined;
  #isClosed = false;

  static async open(target: Target): Promise<Connection> {
    const connection = new Connection();
    const over = (): void => {
      connection.#isClosed = true;
      connection.#done?.(undefined);
    };
    const data = (_: Socket, bytes: Buffer): void => connection.#heard(bytes.toString("latin1"));
    connection.#socket = await Bun.connect({
      ...target,
      socket: { data, end: over, close: over, error: over },
    } as TCPSocketConnectOptions);
    return connection;
  }

  /** The reply; undefined if the connection ends first. */
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

  #heard(text: string): void {
    this.#text += text;
    const head = this.#text.indexOf("\r\n\r\n");
    if (head < 0) return;
    const [, length = "0"] = LENGTH.exec(this.#text) ?? [];
    if (this.#text.length < head + 4 + Number(length)) return;
    const reply = this.#text;
    this.#text = "";
    this.#done?.(reply);
  }
}
