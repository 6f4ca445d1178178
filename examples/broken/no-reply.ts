// Bug: requests for any path but / are read, and nothing is sent.

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
    else serve(client);
  }
}

function accept(): void {
  const connection = listener.accept();
  if (connection === null) return;
  clients.set(connection.socket.fileno(), connection.socket);
  epoll.register(connection.socket, EPOLLIN);
}

function serve(client: Socket): void {
  const request = client.recv(4096); // reported
  if (request === null) return;
  const path = Buffer.from(request).toString("latin1").split(" ")[1];
  if (path === "/") client.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
  if (request.length > 0) return;
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
