// curl http://localhost:8800/
//
// A web server that sends the same response to every request. Add `keepAlive: false, eager: false` for classic mode,
// which makes one system call per event.

import { EpollServer } from "epoll-hello";

const server = new EpollServer({
  port: Number(process.argv[2] ?? 8800),
  response: "Hello from Epoll server!",
  onRequest: ({ method, target }) => console.log(method, JSON.stringify(target)),
});
console.log(`listening on ${server.url}`);
const signal = server.run();
console.log(`stopped by ${signal} after ${server.stats.requests} requests`);
