// curl http://localhost:8802/hello?name=you        (or: curl -d '{"a":1}' http://localhost:8802/echo)
//
// A web-standard fetch handler, such as a Hono app's `app.fetch`. Under run(), which blocks Bun's event loop, it may await the
// request body, but no timers or I/O. Errors go to `onError`.

import { EpollServer } from "epoll-hello";

const server = new EpollServer({
  port: Number(process.argv[2] ?? 8802),
  async fetch(request, server) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/hello") return new Response(`Hello, ${searchParams.get("name") ?? "world"}!\n`);
    if (pathname === "/echo") return Response.json(await request.json());
    if (pathname === "/me") return new Response(Bun.file(import.meta.path));
    if (pathname === "/stats") return Response.json({ ...server.stats, you: server.requestIP(request) });
    return new Response("Not found\n", { status: 404 });
  },
  onError: (error) => new Response(`${error}\n`, { status: error instanceof SyntaxError ? 400 : 500 }),
});
console.log(`listening on ${server.url}`);
server.run();
