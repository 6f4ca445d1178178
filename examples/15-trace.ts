// bun examples/15-trace.ts    What a loop does, line by line; and who holds up all others is caught.

import { Epoll, EPOLLIN, formatEvent, Socket, socketpair, type TraceEvent } from "epoll-hello";

const trace = {
  slowMs: 20,
  listener(event: TraceEvent) {
    const line = formatEvent(event); // the beginning and the end of an iteration have none
    if (line !== undefined) console.log(line);
  },
};

const epoll = new Epoll({ trace });
const pairs = [socketpair(), socketpair()];
const handlers = new Map<number, (socket: Socket) => void>();

/** Holds up the loop: nobody else is served meanwhile. */
function slow(socket: Socket): void {
  socket.recv(100);
  const end = performance.now() + 30;
  while (performance.now() < end);
}

function quick(socket: Socket): void {
  socket.recv(100);
}

for (const [i, [ours, peer]] of pairs.entries()) {
  epoll.register(ours, EPOLLIN);
  handlers.set(ours.fileno(), i === 0 ? slow : quick);
  peer.send("hello");
}

for (const [fd] of epoll.poll(1000)) {
  const [ours] = pairs.find(([one]) => one.fileno() === fd) ?? [];
  if (ours === undefined) continue;
  epoll.modify(ours, 0); // its turn begins: the trace knows that by the calls for it
  handlers.get(fd)?.(ours);
  epoll.modify(ours, EPOLLIN);
}
epoll.poll(0); // the iteration is over, and was measured

epoll.close();
for (const pair of pairs) for (const socket of pair) socket.close();
