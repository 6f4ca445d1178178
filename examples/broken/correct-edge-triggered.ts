// The correct form of undrained.ts: an edge-triggered connection is read until recv returns null (EAGAIN).

import { Epoll, EPOLLET, EPOLLIN, ErrnoError, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const listener = listening();

const epoll = new Epoll();
epoll.register(listener, EPOLLIN | EPOLLET);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd] of epoll.poll()) {
    const client = clients.get(fd);
    if (client === undefined) acceptAll();
    else echo(client);
  }
}

function acceptAll(): void {
  for (let connection; (connection = listener.accept()) !== null;) {
    clients.set(connection.socket.fileno(), connection.socket);
    epoll.register(connection.socket, EPOLLIN | EPOLLET);
  }
}

function echo(client: Socket): void {
  try {
    for (let data; (data = client.recv(16)) !== null;) {
      if (data.length === 0) return close(client);
      client.send(data);
    }
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    close(client); // ECONNRESET or EPIPE: only this connection failed
  }
}

function close(client: Socket): void {
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
