// A file server, as it runs on Bun.serve.

import { resolve } from "node:path";
import { serve } from "bun";

const root = resolve("examples");

export const server: Bun.Server<undefined> = serve({
  hostname: "127.0.0.1",
  port: 0,
  routes: { "/license": Bun.file("LICENSE") },
  async fetch(request) {
    const path = resolve(root, `.${decodeURIComponent(new URL(request.url).pathname)}`);
    if (path !== root && !path.startsWith(`${root}/`)) return new Response("Forbidden", { status: 403 });
    const file = Bun.file(path === root ? `${root}/1-hello.ts` : path);
    return (await file.exists()) ? new Response(file) : new Response("Not Found", { status: 404 });
  },
});
