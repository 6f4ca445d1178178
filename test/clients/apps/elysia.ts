// A typical Elysia app, to test frameworks that were not written for this server.

import { Elysia, t } from "elysia";

const app = new Elysia()
  .onError(({ code, error, set }) => {
    if (code !== "UNKNOWN") return;
    set.status = 500;
    return { failed: error.message };
  })
  .get("/", "Hello Elysia!")
  .get("/users/:id/books/:book", ({ params, query }) => ({ ...params, page: query.page ?? null }), {
    params: t.Object({ id: t.String(), book: t.Number() }),
    query: t.Object({ page: t.Optional(t.Number()) }),
  })
  .post("/json", ({ body, status }) => status(201, { got: body }), { body: t.Object({ a: t.Array(t.Number()) }) })
  .put("/text", ({ body }) => String(body).toUpperCase(), { parse: "text" })
  .post("/form", ({ body }) => [body.name, body.file.name, body.file.size], {
    body: t.Object({ name: t.String(), file: t.File() }),
  })
  .post(
    "/bytes",
    ({ body }) => new Response(body as ArrayBuffer, { headers: { "Content-Type": "application/x-own" } }),
    {
      parse: "arrayBuffer",
    },
  )
  .get("/headers", ({ cookie, headers, set }) => {
    cookie["one"]?.set({ value: "1", path: "/" });
    cookie["two"]?.set({ value: "2", path: "/two", httpOnly: true });
    set.headers["X-Saw"] = headers["x-own"] ?? "nothing";
    set.headers["Content-Type"] = "text/html; charset=utf-8";
    return "<h1>héllo</h1>";
  })
  .get("/guarded/door", () => "open", {
    beforeHandle: ({ headers, status }) =>
      headers["authorization"] === "Bearer secret" ? undefined : status(401, "who are you?"),
  })
  .get("/throw", () => {
    throw new Error("the app has failed");
  })
  .get("/async", async () => {
    await Bun.sleep(5);
    return "later";
  })
  .get("/late-throw", async ({ status }) => {
    await Bun.sleep(5);
    throw status(418, "late, and a teapot");
  })
  .get("/redirect", ({ redirect }) => redirect("/users/1/books/2"))
  .get("/nothing", ({ set }) => {
    set.status = 204;
  })
  .get("/stream", async function* lines() {
    for (let i = 0; i < 5; i++) {
      yield `line ${i}\n`;
      await Bun.sleep(2);
    }
  })
  .get("/large", () => {
    let piece = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array(20_000).fill(piece++));
          if (piece === 100) controller.close();
        },
      }),
    );
  })
  .all("/raw", ({ request }) => new Response(request.body, { headers: { "X-Method": request.method } }), {
    parse: "none",
  });

/** Without Elysia's own type, which describes every route. */
const elysia: { fetch(request: Request): Response | Promise<Response> } = app;
export default elysia;
