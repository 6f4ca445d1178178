// Bug: at two connections the listener is no longer watched, and closing a connection does not resume that.

import { Epoll, EPOLLIN, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const MAX_CONNECTIONS = 2;

const listener = listening();

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd] of epoll.poll()) {
    const client = clients.get(fd);
    if (client === undefined) accept();
    else echo(client);
  }
}

function accept(): void {
  const connection = listener.accept();
  if (connection === null) return;
  clients.set(connection.socket.fileno(), connection.socket);
  epoll.register(connection.socket, EPOLLIN);
  if (clients.size >= MAX_CONNECTIONS) epoll.modify(listener, 0); // reported
}

function echo(client: Socket): void {
  const data = client.recv(4096);
  if (data === null) return;
  if (data.length > 0) return void client.send(data);
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
