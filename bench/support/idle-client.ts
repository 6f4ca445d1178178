// A client that keeps connections open, as `idle-client.ts PORT COUNT NETWORK`. It prints a line once they are open, and exits when its
// standard input ends. A process of its own, because each process has a limit of open files.

import { IdleConnections } from "./idle-connections.ts";

const [port, count, network] = process.argv.slice(2);
using connections = new IdleConnections({ port: Number(port) }, Number(count), network);
await connections.settled;
console.log("open");
for await (const _ of Bun.stdin.stream());
