// bun examples/3-edge-triggered.ts
//
// Level-triggered and edge-triggered on the same bytes. Five bytes are sent and two are read. Level-triggered, epoll reports
// the socket again. With EPOLLET it reports nothing, although three bytes are left, until more arrive. With EPOLLET, read
// until null.

import { Epoll, EPOLLET, EPOLLIN, formatEvents, formatMask, socketpair } from "epoll-hello";

for (const mask of [EPOLLIN, EPOLLIN | EPOLLET]) {
  using epoll = new Epoll();
  const [local, peer] = socketpair();
  epoll.register(local, mask);
  console.log(formatMask(mask));

  peer.send("hello");
  console.log("  five bytes sent:   ", show(epoll.poll(0)));
  console.log("  two bytes read:    ", local.recv(2)?.length);
  console.log("  three bytes left:  ", show(epoll.poll(0)));
  peer.send("!");
  console.log("  one more sent:     ", show(epoll.poll(0)));
  let rest = 0;
  for (let data; (data = local.recv(2)) !== null;) rest += data.length;
  console.log("  all of them read:  ", rest);
  console.log("  nothing left:      ", show(epoll.poll(0)));

  local.close();
  peer.close();
}

/** Formats events without the fd, which is different each time. */
function show(events: [number, number][]): string {
  return formatEvents(events).replace(/\(\d+/, "(fd");
}
