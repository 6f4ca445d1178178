// Bug: after the reply, the program waits for the peer to hang up, but has no branch for EPOLLHUP, which is always reported.

import { Epoll, EPOLLHUP, EPOLLIN, SHUT_RDWR, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const listener = listening();

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd, mask] of epoll.poll()) {
    const client = clients.get(fd);
    if (client === undefined) accept();
    else if ((mask & EPOLLHUP) === 0) reply(client);
  }
}

function accept(): void {
  const connection = listener.accept();
  if (connection === null) return;
  clients.set(connection.socket.fileno(), connection.socket);
  epoll.register(connection.socket, EPOLLIN);
}

function reply(client: Socket): void {
  if (client.recv(4096) === null) return;
  client.send("goodbye\n");
  epoll.modify(client, 0); // reported
  client.shutdown(SHUT_RDWR);
}
