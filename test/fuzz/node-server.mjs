// A server of Node.js. Prints its port, then each request as its handler sees it; ends with its standard input.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  const { remotePort: port } = request.socket; // undefined once the connection is closed
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("error", () => {});
  request.on("end", () => {
    const { method, url } = request;
    const body = Buffer.concat(parts).toString("latin1");
    console.log(JSON.stringify({ port, seen: { method, target: url, body } }));
    response.end("ok");
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("end", () => process.exit());
