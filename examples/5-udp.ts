// echo hi > /dev/udp/127.0.0.1/8805        (or: echo hi | nc -u -w1 127.0.0.1 8805)
//
// A UDP echo server. One socket serves all clients, and each wake-up echoes all datagrams in the receive queue.

import { AF_INET, Epoll, EPOLLIN, SOCK_DGRAM, Socket } from "epoll-hello";

const socket = new Socket(AF_INET, SOCK_DGRAM);
socket.bind({ address: "127.0.0.1", port: Number(process.argv[2] ?? 8805) });
console.log("listening on", socket.getsockname());

const epoll = new Epoll();
epoll.register(socket, EPOLLIN);

for (;;) {
  epoll.poll();
  for (let datagram; (datagram = socket.recvfrom(65_536)) !== null;) {
    const { data, address } = datagram;
    if (!("address" in address)) continue;
    console.log(`${data.length} bytes from ${address.address}:${address.port}`);
    socket.sendto(data, address); // if it would block, the datagram is dropped, as UDP permits
  }
}
