// The correct form of listener-unwatched.ts and accept-failed.ts: accepting pauses at the limit, and resumes when a connection is closed.

import { Epoll, EPOLLIN, ErrnoError, type Socket } from "epoll-hello";
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
  try {
    const connection = listener.accept();
    if (connection === null) return;
    clients.set(connection.socket.fileno(), connection.socket);
    epoll.register(connection.socket, EPOLLIN);
    if (clients.size >= MAX_CONNECTIONS) epoll.modify(listener, 0);
  } catch (error) {
    if (!(error instanceof ErrnoError) || error.code !== "EMFILE" || clients.size === 0) throw error;
    epoll.modify(listener, 0);
  }
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
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
  epoll.modify(listener, EPOLLIN);
}
