// Bug: connections are accepted and stored, but not registered with epoll, so nothing ever reads from them.

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
      const connection = listener.accept(); // reported
      if (connection !== null) clients.set(connection.socket.fileno(), connection.socket);
    } else {
      const data = client.recv(4096);
      if (data !== null) client.send(data);
    }
  }
}
