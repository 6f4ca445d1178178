// nc 127.0.0.1 8801        (or: exec 3<>/dev/tcp/127.0.0.1/8801; echo hi >&3; head -1 <&3)
//
// An echo server on Epoll and Socket, level-triggered, as in Python with select.epoll. If a client doesn't read its
// data, the server stops reading from it and waits for EPOLLOUT, so no client can make the server buffer much.

import { Epoll, EPOLLIN, EPOLLOUT, ErrnoError, Socket, WOULD_BLOCK } from "epoll-hello";

const listener = new Socket();
listener.bind({ address: "127.0.0.1", port: Number(process.argv[2] ?? 8801) });
listener.listen();
console.log("listening on", listener.getsockname());

const epoll = new Epoll();
epoll.register(listener, EPOLLIN);
const clients = new Map<number, { socket: Socket; unsent: Uint8Array }>();

for (;;) {
  for (const [fd] of epoll.poll()) {
    const client = clients.get(fd);
    try {
      if (client === undefined) accept();
      else echo(fd, client);
    } catch (error) {
      if (client === undefined || !(error instanceof ErrnoError)) throw error;
      close(fd, client.socket); // ECONNRESET or EPIPE: only this connection failed
    }
  }
}

function accept(): void {
  const connection = listener.accept();
  if (connection === null) return;
  const { socket } = connection;
  clients.set(socket.fileno(), { socket, unsent: new Uint8Array() });
  epoll.register(socket, EPOLLIN);
}

function echo(fd: number, client: { socket: Socket; unsent: Uint8Array }): void {
  const data = client.unsent.length > 0 ? client.unsent : client.socket.recv(4096);
  if (data === null) return;
  if (data.length === 0) return close(fd, client.socket);
  const sent = client.socket.send(data);
  client.unsent = data.subarray(sent === WOULD_BLOCK ? 0 : sent);
  epoll.modify(fd, client.unsent.length > 0 ? EPOLLOUT : EPOLLIN);
}

function close(fd: number, socket: Socket): void {
  epoll.unregister(fd);
  clients.delete(fd);
  socket.close();
}
