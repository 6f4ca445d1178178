// A process that opens many connections to a port of 127.0.0.1, one of which sends half a request, and keeps them open.
//
//   bun test/support/many-clients.ts PORT COUNT INDEX        prints the port of the connection INDEX

import type { InternetAddress } from "../../src/index.ts";
import { Client } from "./client.ts";

const [port, count, index] = process.argv.slice(2).map(Number) as [number, number, number];
const address: InternetAddress = { family: "IPv4", address: "127.0.0.1", port };
const clients = Array.from({ length: count }, (_, i) => new Client(address, i === index ? "GET / HTTP/1.1\r\nHo" : ""));
const { port: own } = (clients[index] as Client).socket.getsockname() as InternetAddress;
console.log(`connected from ${own}`);
setInterval(() => clients.length, 1_000_000);
