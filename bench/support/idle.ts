// Many connections that have had one reply, and then are silent.

import { AF_INET, Epoll, EPOLLIN, type InternetAddress, SOCK_STREAM, Socket } from "epoll-hello";

const REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const PATIENCE_MS = 10_000;
/** Of connections that are being set up: the backlog has room for them. */
const AT_ONCE = 500;

export class Idle implements Disposable {
  readonly #sockets: Socket[] = [];
  /** Each has had its reply. */
  readonly settled: Promise<void>;

  constructor({ port }: InternetAddress, count: number) {
    try {
      using epoll = new Epoll();
      for (let begun = 0; begun < count;) {
        const group = Math.min(AT_ONCE, count - begun);
        for (let i = 0; i < group; i++, begun++) {
          const socket = new Socket(AF_INET, SOCK_STREAM);
          this.#sockets.push(socket);
          socket.connect({ address: "127.0.0.1", port });
          socket.send(REQUEST);
          epoll.register(socket, EPOLLIN);
        }
        for (let left = group; left > 0;) {
          const ready = epoll.poll(PATIENCE_MS);
          if (ready.length === 0) throw new Error("the server does not answer");
          for (const [fd] of ready) epoll.unregister(fd);
          left -= ready.length;
        }
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.settled = Bun.sleep(100);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.close();
  }
}
