// A correct program with two epoll instances: the outer one watches the listener and the inner one, which watches the connections.

import { Epoll, EPOLLIN, ErrnoError, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const listener = listening();

const outer = new Epoll();
const inner = new Epoll();
outer.register(listener, EPOLLIN);
outer.register(inner, EPOLLIN);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd] of outer.poll()) {
    if (fd === listener.fileno()) accept();
    else for (const [client] of inner.poll(0)) echo(clients.get(client) as Socket);
  }
}

function accept(): void {
  const connection = listener.accept();
  if (connection === null) return;
  clients.set(connection.socket.fileno(), connection.socket);
  inner.register(connection.socket, EPOLLIN);
}

function echo(client: Socket): void {
  try {
    const data = client.recv(4096);
    if (data?.length === 0) close(client);
    else if (data !== null) client.send(data);
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    close(client); // ECONNRESET or EPIPE: only this connection failed
  }
}

function close(client: Socket): void {
  inner.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
