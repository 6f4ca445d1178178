// Bug: the connection is registered, but nothing reads from it, so epoll_wait reports it again immediately.

import { Epoll, EPOLLIN, type InternetAddress, Socket } from "epoll-hello";

const listener = new Socket();
listener.bind({ address: "127.0.0.1", port: Number(process.argv[2] ?? 0) });
listener.listen();
console.log("listening on", (listener.getsockname() as InternetAddress).port);

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, Socket>();

for (;;) {
  for (const [fd] of epoll.poll()) {
    if (fd !== listener.fileno()) continue;
    const connection = listener.accept();
    if (connection === null) continue;
    clients.set(connection.socket.fileno(), connection.socket);
    epoll.register(connection.socket, EPOLLIN); // reported
  }
}
