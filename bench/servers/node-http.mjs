// node:http on Bun or Node, as `node-http.mjs KIND`.

import { createServer } from "node:http";

const body = process.argv[2] === "large" ? "x".repeat(1_048_576) : "Hello from Epoll server!";
const headers = { "Content-Type": "text/plain", "Content-Length": Buffer.byteLength(body) };
const server = createServer((request, response) => {
  response.writeHead(200, headers);
  response.end(body);
});
server.keepAliveTimeout = 3_600_000;
server.listen(0, "127.0.0.1", 4096, () => console.log(server.address().port));
