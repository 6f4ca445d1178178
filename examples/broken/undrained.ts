// Bug: an edge-triggered connection is read once, 16 bytes at most, and not until recv returns null (EAGAIN).

import { Epoll, EPOLLET, EPOLLIN, type InternetAddress, Socket } from "epoll-hello";

const listener = new Socket();
listener.bind({ address: "127.0.0.1", port: Number(process.argv[2] ?? 0) });
listener.listen();
console.log("listening on", (listener.getsockname() as InternetAddress).port);

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
  epoll.register(connection.socket, EPOLLIN | EPOLLET);
}

function echo(client: Socket): void {
  const data = client.recv(16); // reported
  if (data === null) return;
  if (data.length > 0) return void client.send(data);
  epoll.unregister(client);
  clients.delete(client.fileno());
  client.close();
}
