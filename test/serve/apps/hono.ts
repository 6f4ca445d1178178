// A Hono app with eighteen middlewares, as it runs on Bun.serve.

import { serve } from "bun";
import { Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { bearerAuth } from "hono/bearer-auth";
import { bodyLimit } from "hono/body-limit";
import { getConnInfo, serveStatic, upgradeWebSocket, websocket } from "hono/bun";
import { compress } from "hono/compress";
import { contextStorage, getContext } from "hono/context-storage";
import { getCookie, getSignedCookie, setCookie, setSignedCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";
import { ipRestriction } from "hono/ip-restriction";
import { jwt, sign } from "hono/jwt";
import { languageDetector } from "hono/language";
import { methodOverride } from "hono/method-override";
import { poweredBy } from "hono/powered-by";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { stream, streamSSE, streamText } from "hono/streaming";
import { timeout } from "hono/timeout";
import { trimTrailingSlash } from "hono/trailing-slash";

const secret = "a secret";
const app = new Hono<{ Variables: { language: string; requestId: string } }>();

app.use(poweredBy());
app.use(secureHeaders());
app.use(requestId({ generator: () => "an-id" }));
app.use(contextStorage());
app.use(trimTrailingSlash());
app.use("/api/*", cors({ origin: "https://app.test", credentials: true, maxAge: 60 }));
app.use("/api/*", prettyJSON());
app.use("/etag/*", etag());
app.use("/gzip/*", compress());
app.use("/basic/*", basicAuth({ username: "me", password: "pw" }));
app.use("/bearer/*", bearerAuth({ token: "token" }));
app.use("/jwt/*", jwt({ secret, alg: "HS256" }));
app.use("/csrf/*", csrf({ origin: "https://app.test" }));
app.use("/limit/*", bodyLimit({ maxSize: 100, onError: (c) => c.text("too large", 413) }));
app.use("/local/*", ipRestriction(getConnInfo, { denyList: [], allowList: ["127.0.0.1", "::1"] }));
app.use("/remote/*", ipRestriction(getConnInfo, { denyList: ["127.0.0.1", "::1"], allowList: [] }));
app.use("/language/*", languageDetector({ supportedLanguages: ["en", "de"], fallbackLanguage: "en" }));
app.use("/slow/*", timeout(20));
app.use("/override/*", methodOverride({ app }));
app.use("/files/*", serveStatic({ root: "./", rewriteRequestPath: (path) => path.replace("/files", "examples") }));

app.get("/", (c) => c.text("home"));
app.get("/id", (c) => c.json([c.get("requestId"), getContext().req.path]));
app.get("/ip", (c) => {
  const { address, addressType, port } = getConnInfo(c).remote;
  return c.json([address, addressType, typeof port]);
});
app.get("/users/:id", (c) => c.json(c.req.param()));
app.get("/optional/:a?", (c) => c.json(c.req.param()));
app.get("/number/:n{[0-9]+}", (c) => c.json(c.req.param()));
app.get("/rest/*", (c) => c.text(c.req.path));
app.get("/query", (c) => c.json([c.req.query(), c.req.queries("a")]));
app.get("/headers", (c) => c.json([c.req.header("x-one"), c.req.header("X-Two")]));
app.all("/method", (c) => c.text(c.req.method));
app.post("/json", async (c) => c.json(await c.req.json()));
app.post("/text", async (c) => c.text(await c.req.text()));
app.post("/form", async (c) => c.json(await c.req.parseBody({ all: true })));
app.post("/bytes", async (c) => c.body(await c.req.arrayBuffer()));
app.get("/html", (c) => c.html("<p>ä</p>"));
app.get("/status/:code", (c) => c.body(null, Number(c.req.param("code")) as 204));
app.get("/redirect", (c) => c.redirect("/"));
app.get("/permanent", (c) => c.redirect("/", 308));
app.get("/cookies/set", async (c) => {
  setCookie(c, "plain", "a b", { path: "/", httpOnly: true });
  await setSignedCookie(c, "signed", "value", secret);
  return c.text("set");
});
app.get("/cookies/get", async (c) =>
  c.json([getCookie(c, "plain") ?? null, (await getSignedCookie(c, secret, "signed")) ?? null]),
);
app.get("/stream/text", (c) =>
  streamText(c, async (to) => {
    for (const part of ["one", "two", "three"]) await to.writeln(part);
  }),
);
app.get("/stream/bytes", (c) => stream(c, async (to) => void (await to.write(new Uint8Array([1, 2, 3])))));
app.get("/stream/events", (c) =>
  streamSSE(c, async (to) => {
    for (let id = 0; id < 3; id++) await to.writeSSE({ data: `event ${id}`, event: "tick", id: String(id) });
  }),
);
app.get("/throw", () => {
  throw new Error("unexpected");
});
app.get("/exception", () => {
  throw new HTTPException(418, { message: "a teapot" });
});

app.get("/api/data", (c) => c.json({ a: [1, 2] }));
app.post("/api/data", async (c) => c.json({ got: await c.req.json() }, 201));
app.get("/etag/data", (c) => c.text("tagged"));
app.get("/gzip/data", (c) => c.text("compressible ".repeat(200)));
app.get("/basic/page", (c) => c.text("basic"));
app.get("/bearer/page", (c) => c.text("bearer"));
app.get("/jwt/page", (c) => c.json(c.get("jwtPayload" as never)));
app.post("/csrf/form", (c) => c.text("accepted"));
app.post("/limit/body", async (c) => c.text(String((await c.req.text()).length)));
app.get("/local/page", (c) => c.text("local"));
app.get("/remote/page", (c) => c.text("remote"));
app.get("/language/page", (c) => c.text(c.get("language")));
app.get("/slow/page", async (c) => {
  await Bun.sleep(500);
  return c.text("too late");
});
app.delete("/override/item", (c) => c.text("deleted"));
app.get("/token", async (c) => c.text(await sign({ sub: "me" }, secret)));
app.get("/file", () => new Response(Bun.file("examples/1-hello.ts")));
app.get(
  "/ws",
  upgradeWebSocket(() => ({ onMessage: (event, ws) => ws.send(`echo ${String(event.data)}`) })),
);
app.notFound((c) => c.text("nothing here", 404));

export const server: Bun.Server<unknown> = serve({ hostname: "127.0.0.1", port: 0, fetch: app.fetch, websocket });
