// Bug: EPOLLOUT is registered all the time. A socket is nearly always writable, so epoll_wait never blocks.

import { Epoll, EPOLLIN, EPOLLOUT, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const listener = listening();

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd, mask] of epoll.poll()) {
    const client = clients.get(fd);
    if (client === undefined) accept();
    else if ((mask & EPOLLIN) !== 0) echo(client);
  }
}

function accept(): void {
  const connection = listener.accept();
  if (connection === null) return;
  clients.set(connection.socket.fileno(), connection.socket);
  epoll.register(connection.socket, EPOLLIN | EPOLLOUT); // reported
}

function echo(client: Socket): void {
  const data = client.recv(4096);
  if (data === null) return;
  if (data.length > 0) return void client.send(data);
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
