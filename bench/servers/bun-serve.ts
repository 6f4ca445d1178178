// Bun.serve: `bun-serve.ts KIND`, a static route where the reply is always the same.

import { bodyOf, handlerOf, type Kind } from "./handler.ts";

const kind = process.argv[2] as Kind;
const body = bodyOf(kind);
const { port } = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  ...(body === undefined ? { fetch: handlerOf(kind) } : { routes: { "/": new Response(body) } }),
} as Bun.Serve.Options<undefined>);
console.log(port);
