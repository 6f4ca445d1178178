// Bug: the connection is registered, but nothing reads from it, so epoll_wait reports it again immediately.

import { Epoll, EPOLLIN, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const listener = listening();

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd] of epoll.poll()) {
    if (fd !== listener.fileno()) continue;
    const connection = listener.accept();
    if (connection === null) continue;
    clients.set(connection.socket.fileno(), connection.socket);
    epoll.register(connection.socket, EPOLLIN); // reported
  }
}
