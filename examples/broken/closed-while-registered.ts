// Bug: a connection is closed without being unregistered, and a duplicate keeps it open, so epoll_wait goes on reporting the closed fd.

import { Epoll, EPOLLIN, type Socket } from "epoll-hello";
import { listening } from "./support/listening.ts";

const listener = listening();

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, { socket: Socket; duplicate: number }>();

for (;;) {
  for (const [fd] of epoll.poll()) {
    if (fd === listener.fileno()) {
      const socket = listener.accept()?.socket;
      if (socket === undefined) continue;
      clients.set(socket.fileno(), { socket, duplicate: socket.dup() }); // such as for a child process
      epoll.register(socket, EPOLLIN);
      continue;
    }
    const client = clients.get(fd)?.socket;
    const data = client?.recv(4096) ?? null;
    if (data === null) continue;
    client?.send(data);
    if (data.length > 0) continue;
    clients.delete(fd);
    client?.close(); // reported
  }
}
