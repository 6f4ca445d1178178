// An Elysia app with WebSockets, as it runs on Bun.serve.

import { serve } from "bun";
import { Elysia, t } from "elysia";
import { websocket } from "elysia/ws";

const app = new Elysia()
  .get("/", () => "home")
  .get("/users/:id", ({ params }) => params, { params: t.Object({ id: t.Number() }) })
  .get("/query", ({ query }) => query, { query: t.Object({ page: t.Optional(t.Number()) }) })
  .post("/json", ({ body }) => ({ got: body }), { body: t.Object({ a: t.Array(t.Number()) }) })
  .post("/text", ({ body }) => body)
  .get("/cookie", ({ cookie: { visits } }) => {
    visits?.set({ value: "1", httpOnly: true, path: "/" });
    return "set";
  })
  .get("/ip", ({ request, server: own }) => own?.requestIP(request)?.address ?? "unknown")
  .get("/status", ({ status }) => status(418, "a teapot"))
  .get("/redirect", ({ redirect }) => redirect("/"))
  .get("/throw", () => {
    throw new Error("unexpected");
  })
  .get("/parts", async function* parts() {
    for (let i = 0; i < 3; i++) yield `part ${i}\n`;
  })
  .get("/file", () => Bun.file("examples/1-hello.ts"))
  .ws("/ws", {
    message(ws, message) {
      ws.send(`echo ${String(message)}`);
    },
  });

export const server: Bun.Server<unknown> = serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request) => app.fetch(request),
  websocket: websocket as Bun.WebSocketHandler<unknown>,
});
app.server = server as typeof app.server;
