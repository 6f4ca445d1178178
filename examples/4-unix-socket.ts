// curl --unix-socket /tmp/epoll-hello.sock http://localhost/
//
// A web server on a unix socket: a path, or "\0name" for an abstract name. The file is removed when the server stops, and a
// file left behind by a killed server is replaced.

import { EpollServer } from "epoll-hello";

const server = new EpollServer({
  unix: process.argv[2] ?? "/tmp/epoll-hello.sock",
  response: { headers: { "Content-Type": "application/json" }, body: '{"hello":"from a unix socket"}\n' },
});
console.log(`listening on ${server.url}`);
server.run();
console.log(`served ${server.stats.requests} requests`);
