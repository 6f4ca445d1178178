// Bug: when no file descriptor is free, the error of accept is ignored, and the listener stays registered. Try it with ulimit -n 40.

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
  try {
    const connection = listener.accept(); // reported
    if (connection === null) return;
    clients.set(connection.socket.fileno(), connection.socket);
    epoll.register(connection.socket, EPOLLIN);
  } catch {
    // the next attempt may succeed
  }
}

function echo(client: Socket): void {
  const data = client.recv(4096);
  if (data === null) return;
  if (data.length > 0) return void client.send(data);
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
