// Idle connections: each has received one response and sends nothing more.

import {
  AF_INET,
  Epoll,
  EPOLLIN,
  type InternetAddress,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  SOCK_STREAM,
  Socket,
} from "epoll-hello";

const REQUEST = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const RESPONSE_TIMEOUT_MS = 10_000;
/** The number of connections to open at a time, fewer than fit in the backlog. */
const BATCH = 500;
/** The number of connections from one source address: there are about 28,000 ports for them. */
const PER_SOURCE = 20_000;

export class IdleConnections implements Disposable {
  readonly #sockets: Socket[] = [];
  /** Resolves when the server has finished its work on all of them. */
  readonly settled: Promise<void>;

  /** @param network the first three bytes of the source addresses, of which there are as many as needed */
  constructor({ port }: Pick<InternetAddress, "port">, count: number, network = "127.0.0") {
    try {
      using epoll = new Epoll();
      for (let opened = 0; opened < count;) {
        const group = Math.min(BATCH, count - opened);
        for (let i = 0; i < group; i++, opened++) {
          const socket = new Socket(AF_INET, SOCK_STREAM);
          this.#sockets.push(socket);
          // Linux picks the port when the socket connects. It takes much longer when the socket is bound.
          socket.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, true);
          socket.bind({ address: `${network}.${1 + Math.floor(opened / PER_SOURCE)}`, port: 0 });
          socket.setLinger(0); // closing resets the connection, and leaves no port in TIME_WAIT
          socket.connect({ address: "127.0.0.1", port });
          socket.send(REQUEST);
          epoll.register(socket, EPOLLIN);
        }
        for (let left = group; left > 0;) {
          const ready = epoll.poll(RESPONSE_TIMEOUT_MS);
          if (ready.length === 0) throw new Error("the server doesn't respond");
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
