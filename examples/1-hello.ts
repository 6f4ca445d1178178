// curl http://localhost:8800/
//
// The document's server. With `keepAlive: false, eager: false` it is the document's loop to the letter.

import { EpollServer } from "epoll-hello";

const server = new EpollServer({
  port: Number(process.argv[2] ?? 8800),
  response: "Hello from Epoll server!",
  onRequest: ({ method, target }) => console.log(method, JSON.stringify(target)),
});
console.log(`listening on ${server.url}`);
const signal = server.run();
console.log(`stopped by ${signal} after ${server.stats.requests} requests`);
