// Bug: one client is served to its end before the next is accepted, and the backlog is small, so the kernel drops the others.

import { Epoll, EPOLLIN, type InternetAddress, Socket } from "epoll-hello";

const listener = new Socket();
listener.bind({ address: "127.0.0.1", port: Number(process.argv[2] ?? 0) });
listener.listen(2); // reported
console.log("listening on", (listener.getsockname() as InternetAddress).port);

for (;;) {
  waitUntilReadable(listener);
  const connection = listener.accept();
  if (connection !== null) serve(connection.socket);
}

function serve(client: Socket): void {
  for (;;) {
    waitUntilReadable(client);
    const data = client.recv(4096);
    if (data?.length === 0) return client.close();
    if (data !== null) client.send(data);
  }
}

function waitUntilReadable(socket: Socket): void {
  using epoll = new Epoll();
  epoll.register(socket, EPOLLIN);
  epoll.poll();
}
