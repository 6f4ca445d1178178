// Bug: the handler blocks for 200 ms before it reads, and all other clients wait.

import { Epoll, EPOLLIN, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

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
}

function echo(client: Socket): void {
  Bun.sleepSync(200); // such as a query of a database that blocks
  const data = client.recv(4096); // reported
  if (data === null) return;
  if (data.length > 0) return void client.send(data);
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
