// nc 127.0.0.1 8803        (or: exec 3<>/dev/tcp/127.0.0.1/8803; echo hi >&3; head -1 <&3)
//
// The echo server with socket handlers in the shape of Bun.listen's. write() returns how many bytes were accepted. If that
// isn't all of them, the server stops reading from the client until drain.

import { EpollServer, type ServerSocket } from "epoll-hello";

interface Unsent {
  bytes: Uint8Array;
}

const server = new EpollServer({
  hostname: "127.0.0.1",
  port: Number(process.argv[2] ?? 8803),
  socket: {
    open: (socket: ServerSocket<Unsent>) => void (socket.data = { bytes: new Uint8Array() }),
    data: (socket, bytes) => echo(socket, bytes),
    drain: (socket) => echo(socket, socket.data?.bytes ?? new Uint8Array()),
  },
});

function echo(socket: ServerSocket<Unsent>, bytes: Uint8Array): void {
  const rest = bytes.subarray(socket.write(bytes));
  socket.data = { bytes: rest };
  if (rest.length > 0) socket.pause();
  else socket.resume();
}

console.log(`listening on ${server.port}`);
server.run();
