// bun examples/15-trace.ts
//
// Traces each system call of an epoll loop. One of its two handlers is slow and blocks the loop: the trace warns about it.

import { Epoll, EPOLLIN, formatEvent, Socket, socketpair, type TraceEvent } from "epoll-hello";

const trace = {
  slowMs: 20,
  listener(event: TraceEvent) {
    const line = formatEvent(event); // undefined for the start and end of an iteration
    if (line !== undefined) console.log(line);
  },
};

const epoll = new Epoll({ trace });
const pairs = [socketpair(), socketpair()];
const handlers = new Map<number, (socket: Socket) => void>();

/** Blocks the loop: no other fd is handled meanwhile. */
function slow(socket: Socket): void {
  socket.recv(100);
  Bun.sleepSync(150);
}

function quick(socket: Socket): void {
  socket.recv(100);
}

for (const [i, [local, peer]] of pairs.entries()) {
  epoll.register(local, EPOLLIN);
  handlers.set(local.fileno(), i === 0 ? slow : quick);
  peer.send("hello");
}

for (const [fd] of epoll.poll(1000)) {
  const [local] = pairs.find(([one]) => one.fileno() === fd) ?? [];
  if (local === undefined) continue;
  epoll.modify(local, 0); // tells the trace which fd is being handled
  handlers.get(fd)?.(local);
  epoll.modify(local, EPOLLIN);
}
epoll.poll(0); // ends the iteration, so that its handlers are measured

epoll.close();
for (const pair of pairs) for (const socket of pair) socket.close();
