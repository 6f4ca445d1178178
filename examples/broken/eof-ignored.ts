// Bug: recv returns no bytes at the end of the stream, and the connection is neither unregistered nor closed.

import { Epoll, EPOLLIN, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const listener = listening();

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd] of epoll.poll()) {
    const client = clients.get(fd);
    if (client === undefined) {
      const connection = listener.accept();
      if (connection === null) continue;
      clients.set(connection.socket.fileno(), connection.socket);
      epoll.register(connection.socket, EPOLLIN);
    } else {
      const data = client.recv(4096); // reported
      if (data !== null) client.send(data);
    }
  }
}
