// A Worker that runs a watch and a server until it is terminated.

import { EPOLLIN, EpollServer, socketpair, watch } from "../../src/index.ts";

const [ours, peer] = socketpair();
watch(ours, EPOLLIN, () => {
  ours.recv(10);
  setTimeout(() => peer.send("a"), Math.random() < 0.5 ? 0 : 1);
});
peer.send("a");
const server = new EpollServer({ hostname: "127.0.0.1" });
await server.start();
postMessage(server.port);
