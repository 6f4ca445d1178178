// An EpollServer run one iteration at a time, with clients in the same thread, so that every run is the same.

import { syscalls, type Syscalls } from "../../src/kernel/ffi.ts";
import { EpollServer, type EpollServerOptions, IPPROTO_TCP, Socket, TCP_NODELAY } from "../../src/index.ts";

/** A clock that advances only when the test sets `ms`. */
export class StillClock {
  ms: number = 1_000_000;
  now = (): number => this.ms;
  wall = (): number => Date.UTC(2026, 0, 1) + this.ms;
}

/** Returns the system calls with some of them replaced. `host` is the real table. */
export function sysWith(replace: (host: Syscalls) => Partial<Syscalls>): Syscalls {
  const host = syscalls();
  return { ...host, ...replace(host) };
}

/** A server on 127.0.0.1 that runs by `tick`, and its clients. Disposing of it closes all of them. */
export class ServerHarness implements Disposable {
  readonly server: EpollServer;
  readonly clock: StillClock = new StillClock();
  readonly #clients: Socket[] = [];

  constructor(options: EpollServerOptions = {}, sys?: Syscalls) {
    this.server = new EpollServer(
      options.fd === undefined ? { hostname: "127.0.0.1", ...options } : options,
      sys,
      this.clock,
    );
  }

  /** Connects a client, optionally from a given address, and sends `text`. */
  client(text = "", from = ""): Socket {
    const socket = new Socket();
    this.#clients.push(socket);
    if (from !== "") socket.bind({ address: from, port: 0 });
    socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); // otherwise a second send would wait for an ACK
    socket.connect({ address: "127.0.0.1", port: this.server.port as number });
    if (text !== "") socket.send(text);
    return socket;
  }

  /** Runs iterations until three in a row have no events. */
  settle(): void {
    for (let quiet = 0; quiet < 3 && !this.server.closed;) quiet = this.server.tick(1) === 0 ? quiet + 1 : 0;
  }

  /** Runs iterations until the text that the client has received matches. Throws after 10,000 iterations. */
  receive(client: Socket, until: RegExp): string {
    let text = "";
    for (let iterations = 0; iterations < 10_000; iterations++) {
      const bytes = client.recv(1_000_000);
      if (bytes !== null) text += Buffer.from(bytes).toString("latin1");
      if (until.test(text)) return text;
      if (bytes?.length === 0) throw new Error(`closed after ${JSON.stringify(text.slice(-200))}`);
      if (!this.server.closed) this.server.tick(bytes === null ? 1 : 0);
    }
    throw new Error(`received ${JSON.stringify(text.slice(-200))}, which does not match ${until}`);
  }

  /** Returns whether the connection is open, closed by the server ("end") or reset by it. */
  fate(client: Socket): "end" | "reset" | "open" {
    try {
      for (;;) {
        const bytes = client.recv(1_000_000);
        if (bytes === null) return "open";
        if (bytes.length === 0) return "end";
      }
    } catch {
      return "reset";
    }
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
    if (this.server.closed) return;
    void this.server.stop({ graceMs: 0 });
    while (!this.server.closed) this.server.tick(0);
  }
}

export const SENTENCE = "Hello from Epoll server!";
export const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
export const complete: RegExp = /Hello from Epoll server!$/;
