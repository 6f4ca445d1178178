// curl http://127.0.0.1:8805        (two processes respond in turn)
//
// Connections passed between processes: the parent accepts them, and passes each fd to a child (SCM_RIGHTS).

import { EPOLLIN, Socket, socketpair, watch } from "epoll-hello";

if (process.argv[2] === "child") {
  const parent = Socket.fromfd(3);
  watch(parent, EPOLLIN, () => {
    const message = parent.recvFds(1, 1);
    if (message?.data.length === 0) process.exit(); // the parent has exited
    for (const fd of message?.fds ?? []) respond(Socket.fromfd(fd));
  });
} else {
  const listener = new Socket();
  listener.bind({ address: "127.0.0.1", port: Number(process.argv[2] ?? 8805) });
  listener.listen();
  const children = [1, 2].map(() => {
    const [local, remote] = socketpair();
    Bun.spawn([process.execPath, import.meta.path, "child"], {
      stdio: ["ignore", "inherit", "inherit", remote.fileno()],
    });
    remote.close();
    return local;
  });
  let next = 0;
  watch(listener, EPOLLIN, () => {
    const connection = listener.accept();
    if (connection === null) return;
    children[next++ % children.length]?.sendFds("x", [connection.socket]);
    connection.socket.close(); // the child has a duplicate
  });
  console.log("listening on", listener.getsockname());
}

function respond(socket: Socket): void {
  const watcher = watch(socket, EPOLLIN, () => {
    const body = `process ${process.pid} responds\n`;
    if (socket.recv(4096)?.length) socket.send(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    watcher.close();
    socket.close();
  });
}
