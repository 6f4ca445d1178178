// Bun.serve, as `bun-serve.ts KIND`: with a static route if the response is always the same, otherwise with a handler.

import { bodyOf, handlerOf, type Kind } from "./handler.ts";

const kind = process.argv[2] as Kind;
const body = bodyOf(kind);
const { port } = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0, // idle connections stay open
  ...(body === undefined ? { fetch: await handlerOf(kind) } : { routes: { "/*": new Response(body) } }),
} as Bun.Serve.Options<undefined>);
console.log(port);
