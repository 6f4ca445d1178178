// curl http://127.0.0.1:8806/hello/you        (and the same on port 8807)
//
// One Hono app on EpollServer and on Bun.serve, in one process and on one event loop, alongside a timer.

import { Hono } from "hono";
import { EpollServer } from "epoll-hello";

let seconds = 0;
setInterval(() => seconds++, 1000).unref();

const app = new Hono();
app.get("/hello/:name", (context) => context.text(`Hello, ${context.req.param("name")}!`));
app.get("/seconds", (context) => context.json({ seconds }));
app.post("/length", async (context) => context.json({ length: (await context.req.text()).length }));

const epollServer = new EpollServer({ hostname: "127.0.0.1", port: Number(process.argv[2] ?? 8806), fetch: app.fetch });
await epollServer.start();
const bunServer = Bun.serve({ hostname: "127.0.0.1", port: Number(process.argv[3] ?? 8807), fetch: app.fetch });
console.log(`listening on ${epollServer.url} and ${bunServer.url}`);

process.on("SIGINT", async () => {
  await Promise.all([epollServer.stop(), bunServer.stop()]);
  console.log(`${epollServer.stats.requests} requests`);
});
