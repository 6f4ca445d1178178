// A typical Hono app, to test frameworks that were not written for this server.

import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";
import { stream, streamSSE, streamText } from "hono/streaming";

const app = new Hono();

app.use("/guarded/*", async (c, next) => {
  if (c.req.header("authorization") !== "Bearer secret") throw new HTTPException(401, { message: "who are you?" });
  await next();
  c.header("X-Guarded", "yes");
});

app.get("/", (c) => c.text("Hello Hono!"));
app.get("/users/:id/books/:book{[0-9]+}", (c) => c.json({ ...c.req.param(), page: c.req.query("page") ?? null }));
app.post("/json", async (c) => c.json({ got: await c.req.json() }, 201));
app.put("/text", async (c) => c.text((await c.req.text()).toUpperCase()));
app.post("/form", async (c) => {
  const form = await c.req.parseBody();
  return c.json(
    Object.entries(form).map(([name, part]) => [name, part instanceof File ? [part.name, part.size] : part]),
  );
});
app.post("/bytes", async (c) => c.body(await c.req.arrayBuffer(), 200, { "Content-Type": "application/x-own" }));
app.post("/limited", bodyLimit({ maxSize: 10 }), async (c) => c.json([c.req.method, await c.req.text()]));
app.get("/headers", (c) => {
  setCookie(c, "one", "1");
  setCookie(c, "two", "2", { path: "/two", httpOnly: true });
  c.header("X-Saw", c.req.header("x-own") ?? "nothing");
  return c.html("<h1>héllo</h1>");
});
app.get("/guarded/door", (c) => c.text("open"));
app.get("/throw", () => {
  throw new HTTPException(503, { message: "the app has failed" });
});
app.get("/async", async (c) => {
  await Bun.sleep(5);
  return c.text("later");
});
app.get("/late-throw", async () => {
  await Bun.sleep(5);
  throw new HTTPException(418, { message: "late, and a teapot" });
});
app.get("/redirect", (c) => c.redirect("/users/1/books/2", 302));
app.get("/nothing", (c) => c.body(null, 204));
app.get("/stream", (c) =>
  streamText(c, async (to) => {
    for (let i = 0; i < 5; i++) {
      await to.writeln(`line ${i}`);
      await to.sleep(2);
    }
  }),
);
app.get("/large", (c) =>
  stream(c, async (to) => {
    for (let i = 0; i < 100; i++) await to.write(new Uint8Array(20_000).fill(i));
  }),
);
app.get("/events", (c) =>
  streamSSE(c, async (to) => {
    for (let i = 0; i < 3; i++) await to.writeSSE({ data: `event ${i}`, event: "tick", id: String(i) });
  }),
);
app.all("/raw", async (c) => new Response(c.req.raw.body, { headers: { "X-Method": c.req.method } }));
app.post("/again", async (c) => {
  const request = new Request(c.req.raw, { headers: { "X-Again": "yes" } });
  return c.json([request.method, new URL(request.url).pathname, request.headers.get("x-again"), await request.text()]);
});
app.post("/clone", async (c) => c.json([await c.req.raw.clone().text(), await c.req.text()]));

const mounted = new Hono().all("/*", async (c) => c.json([c.req.method, c.req.path, await c.req.text()]));
app.mount("/mounted", mounted.fetch);

app.onError((error, c) => {
  if (error instanceof HTTPException) return error.getResponse();
  return c.json({ failed: error.message }, 500);
});

export default app as Hono;
