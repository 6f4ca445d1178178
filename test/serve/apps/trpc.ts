// A tRPC router behind its fetch adapter, as it runs on Bun.serve.

import { initTRPC, TRPCError } from "@trpc/server";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { serve } from "bun";

const t = initTRPC.create();
const items = ["first"];

const router = t.router({
  hello: t.procedure.input(String).query(({ input }) => `hello ${input}`),
  list: t.procedure.query(() => items),
  add: t.procedure.input(String).mutation(({ input }) => ({ count: items.push(input) })),
  fail: t.procedure.query(() => {
    throw new TRPCError({ code: "FORBIDDEN", message: "not allowed" });
  }),
  slow: t.procedure.query(async () => {
    await Bun.sleep(5);
    return "later";
  }),
  count: t.procedure.subscription(async function* count() {
    for (let i = 0; i < 3; i++) yield i;
  }),
});

export const server: Bun.Server<undefined> = serve({
  hostname: "127.0.0.1",
  port: 0,
  routes: { "/health": new Response("healthy") },
  fetch: (request) => fetchRequestHandler({ endpoint: "/trpc", req: request, router, createContext: () => ({}) }),
});
