// A Worker that receives a socket and a number: it answers each of that many bytes with another, then exits.

import { Epoll, EPOLLIN, Socket } from "../../src/index.ts";

declare const self: Worker;

self.addEventListener("message", ({ data: [fd, rounds] }: MessageEvent<[fd: number, rounds: number]>) => {
  using socket = Socket.fromfd(fd);
  using epoll = new Epoll();
  epoll.register(socket, EPOLLIN);
  for (let i = 0; i < rounds; i++) {
    epoll.poll();
    socket.recv(1);
    socket.send("a");
  }
  process.exit();
});
