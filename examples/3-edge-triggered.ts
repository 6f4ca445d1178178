// bun examples/3-edge-triggered.ts
//
// Level and edge on the same bytes: five are sent, two are read. Level-triggered, epoll says "ready" again; with EPOLLET
// it is silent, though three bytes are left, until more arrive. So: read until null, or do not ask for edges.

import { Epoll, EPOLLET, EPOLLIN, formatEvents, formatMask, socketpair } from "epoll-hello";

for (const mask of [EPOLLIN, EPOLLIN | EPOLLET]) {
  using epoll = new Epoll();
  const [here, there] = socketpair();
  epoll.register(here, mask);
  console.log(formatMask(mask));

  there.send("hello");
  console.log("  five bytes were sent:  ", show(epoll.poll(0)));
  console.log("  two are read:          ", here.recv(2)?.length);
  console.log("  three are left:        ", show(epoll.poll(0)));
  there.send("!");
  console.log("  another was sent:      ", show(epoll.poll(0)));
  let rest = 0;
  for (let data; (data = here.recv(2)) !== null;) rest += data.length;
  console.log("  the rest is read:      ", rest);
  console.log("  nothing is left:       ", show(epoll.poll(0)));

  here.close();
  there.close();
}

/** The descriptor's number says nothing here. */
function show(events: [number, number][]): string {
  return formatEvents(events).replace(/\(\d+/, "(fd");
}
