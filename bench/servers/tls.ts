// A server with TLS, as `tls.ts bunServe|start|plain CERTIFICATE KEY`. `plain`: EpollServer without TLS.

import { EpollServer } from "epoll-hello";

const [, , kind, cert = "", key = ""] = process.argv;
const options = {
  hostname: "127.0.0.1",
  port: 0,
  ...(kind === "plain" ? {} : { tls: { cert: Bun.file(cert), key: Bun.file(key) } }),
  fetch: (request: Request) =>
    request.url.includes("/large") ? new Response(large) : new Response("Hello from Epoll server!"),
};
const large = new Uint8Array(1 << 20);

if (kind === "bunServe") {
  console.log(Bun.serve({ ...options, idleTimeout: 0 }).port);
} else {
  const server = new EpollServer({ ...options, idleTimeoutMs: 3_600_000 });
  await server.start();
  console.log(server.port);
}
