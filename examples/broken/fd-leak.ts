// Bug: at the end of the stream the connection is unregistered, but not closed.

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
      echo(fd, client);
    }
  }
}

function echo(fd: number, client: Socket): void {
  const data = client.recv(4096);
  if (data === null) return;
  if (data.length > 0) return void client.send(data);
  epoll.unregister(fd); // reported
  clients.delete(fd);
}
