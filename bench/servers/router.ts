// An app on Hono with the paths of bench/support/traffic.ts: middleware, parameters, queries and JSON bodies.

import { Hono } from "hono";

interface Order {
  items: { sku: string; quantity: number; price: number }[];
}

const app = new Hono();

app.use("/api/*", async (context, next) => {
  await next();
  context.header("Cache-Control", "no-store");
});
app.get("/", (context) => context.html("<!doctype html><title>Shop</title><h1>Welcome</h1>"));
app.get("/products/:slug", (context) =>
  context.html(`<!doctype html><title>${context.req.param("slug")}</title><p>In stock`),
);
app.get("/blog/:year/:month/:slug", (context) => {
  const { year, month, slug } = context.req.param();
  return context.html(`<!doctype html><title>${slug}</title><p>${year}-${month}`);
});
app.get("/assets/*", (context) => context.body("export {};\n", 200, { "Content-Type": "text/javascript" }));
app.get("/account/orders/:id", (context) => context.text(`order ${context.req.param("id")}`));
app.get("/search", (context) =>
  context.json({ query: context.req.query("q") ?? "", page: Number(context.req.query("page") ?? 1), results: [] }),
);
app.get("/café/:name", (context) => context.text(context.req.param("name")));
app.get("/api/v1/products", (context) => context.json({ sort: context.req.query("sort") ?? "name", products: [] }));
app.get("/api/v1/users/:id", (context) =>
  context.json({ id: context.req.param("id"), isKnown: context.req.header("authorization") !== undefined }),
);
app.get("/api/v1/users/:id/orders/:order", (context) => context.json(context.req.param()));
app.get("/api/v2/events/:id", async (context) => context.json({ id: await Promise.resolve(context.req.param("id")) }));
app.post("/api/v1/orders", async (context) => {
  const { items } = await context.req.json<Order>();
  const total = items.reduce((sum, { price, quantity }) => sum + price * quantity, 0);
  return context.json({ count: items.length, total: total.toFixed(2) }, 201);
});
app.put("/api/v1/users/:id", async (context) => {
  const { name } = await context.req.json<{ name: string }>();
  return context.json({ id: context.req.param("id"), name });
});

export const router = (request: Request): Response | Promise<Response> => app.fetch(request);
