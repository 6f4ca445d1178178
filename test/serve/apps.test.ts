// Apps that were written for Bun.serve, moved by changing the line that imports `serve`: they give the same responses.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createTRPCClient, httpBatchLink, httpLink } from "@trpc/client";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../support/programs.ts";
import { type Answer, ask } from "./support/ask.ts";

setDefaultTimeout(60_000);

const apps = join(import.meta.dir, "apps");
const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
afterAll(() => rmSync(folder, { recursive: true }));

type AnyServer = Bun.Server<unknown>;
type Servers = { ours: AnyServer; theirs: AnyServer };

/** Imports an app as it is, and with the line changed that imports `serve`. */
async function both(name: string): Promise<Servers> {
  const text = readFileSync(join(apps, `${name}.ts`), "utf8");
  const line = 'import { serve } from "bun";';
  expect(text.split("\n").filter((one) => one === line)).toHaveLength(1);
  const moved = join(folder, `${name}.ts`);
  writeFileSync(moved, text.replace(line, `import { serve } from ${JSON.stringify(join(root, "src/index.ts"))};`));
  const [{ server: theirs }, { server: ours }] = (await Promise.all([
    import(join(apps, `${name}.ts`)),
    import(moved),
  ])) as [{ server: AnyServer }, { server: AnyServer }];
  return { ours, theirs };
}

/** Starts both servers before the tests of a block, and stops them afterwards. */
function started(name: string): Servers {
  const servers = {} as Servers;
  beforeAll(async () => {
    Object.assign(servers, await both(name));
  });
  afterAll(() => Promise.all([servers.ours.stop(true), servers.theirs.stop(true)]));
  return servers;
}

type Request = readonly [target: string, method?: string, headers?: Record<string, string>, body?: string];

/** Tests that both servers give the same response to a request. */
function same(servers: Servers, [target, method = "GET", headers = {}, body = ""]: Request): void {
  test(`${method} ${target} ${JSON.stringify(headers)} ${JSON.stringify(body.slice(0, 20))}`, async () => {
    const [ours, theirs] = (await Promise.all(
      [servers.ours, servers.theirs].map((server) => ask(server.port as number, method, target, headers, body)),
    )) as [Answer, Answer];
    // Bun.serve collects a stream that ends at once. This server sends its parts as they come, in chunks.
    if (ours.headers["content-length"] === undefined) delete theirs.headers["content-length"];
    if (ours.headers["accept-ranges"] !== undefined) removeFileFields(ours, theirs);
    // Bun.serve omits the type of a string in responses to HEAD.
    if (method === "HEAD" && theirs.headers["content-type"] === undefined) delete ours.headers["content-type"];
    expect(ours).toEqual(theirs);
    expect(theirs.status).toBeGreaterThan(0);
  });
}

const json = { "Content-Type": "application/json" };
const form = { "Content-Type": "application/x-www-form-urlencoded" };
const origin = { Origin: "https://app.test" };
const preflight = { ...origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-One" };
const basic = (credentials: string): Record<string, string> => ({ Authorization: `Basic ${btoa(credentials)}` });

describe("Hono", () => {
  const servers = started("hono");
  const requests: Request[] = [
    ["/"],
    ["/", "HEAD"],
    ["/", "POST", {}, "x"],
    ["/id"],
    ["/id", "GET", { "X-Request-Id": "mine" }],
    ["/ip"],
    ["/users/%C3%A4"],
    ["/users/1/"],
    ["/users/"],
    ["/optional"],
    ["/optional/x"],
    ["/number/12"],
    ["/number/x"],
    ["/rest/a/b/c"],
    ["/query?a=1&a=2&b=%20"],
    ["/headers", "GET", { "X-One": "1", "x-two": "zwei" }],
    ["/method", "PUT", {}, "x"],
    ["/method", "DELETE"],
    ["/method", "PATCH", {}, "x"],
    ["/method", "OPTIONS"],
    ["/json", "POST", json, '{"a":[1,2,{"b":"ä"}]}'],
    ["/json", "POST", json, "{"],
    ["/text", "POST", {}, "text and ünicode"],
    ["/text", "POST"],
    ["/form", "POST", form, "a=1&b=2&b=3"],
    ["/bytes", "POST", {}, "bytes"],
    ["/html"],
    ["/status/204"],
    ["/status/304"],
    ["/status/404"],
    ["/redirect"],
    ["/permanent"],
    ["/cookies/set"],
    ["/cookies/get", "GET", { Cookie: "plain=a%20b; signed=value.wrong" }],
    ["/stream/text"],
    ["/stream/bytes"],
    ["/stream/events"],
    ["/throw"],
    ["/exception"],
    ["/api/data"],
    ["/api/data?pretty"],
    ["/api/data", "GET", origin],
    ["/api/data", "GET", { Origin: "https://other.test" }],
    ["/api/data", "OPTIONS", preflight],
    ["/api/data", "POST", { ...json, ...origin }, '{"x":1}'],
    ["/etag/data"],
    ["/etag/data", "GET", { "If-None-Match": '"0ea08b5db29fbbc1d1c1ddc4c54b2d70e95c2e29"' }],
    ["/gzip/data"],
    ["/gzip/data", "HEAD"],
    ["/basic/page"],
    ["/basic/page", "GET", basic("me:pw")],
    ["/basic/page", "GET", basic("me:wrong")],
    ["/bearer/page"],
    ["/bearer/page", "GET", { Authorization: "Bearer token" }],
    ["/bearer/page", "GET", { Authorization: "Bearer wrong" }],
    ["/jwt/page"],
    ["/jwt/page", "GET", { Authorization: "Bearer x.y.z" }],
    ["/csrf/form", "POST", { ...form, ...origin }, "a=1"],
    ["/csrf/form", "POST", { ...form, Origin: "https://other.test" }, "a=1"],
    ["/limit/body", "POST", {}, "x".repeat(100)],
    ["/limit/body", "POST", {}, "x".repeat(101)],
    ["/local/page"],
    ["/remote/page"],
    ["/language/page", "GET", { "Accept-Language": "de-DE,de;q=0.9" }],
    ["/slow/page"],
    ["/override/item", "POST", form, "_method=DELETE"],
    ["/files/1-hello.ts"],
    ["/files/nowhere"],
    ["/file"],
    ["/nowhere"],
    ["/ws"],
  ];
  for (const request of requests) same(servers, request);

  test("a compressed response", async () => {
    const texts = await Promise.all(
      Object.values(servers).map(async ({ url }) => {
        const response = await fetch(new URL("/gzip/data", url), { headers: { "Accept-Encoding": "gzip" } });
        return [response.headers.get("content-encoding"), response.headers.get("vary"), await response.text()];
      }),
    );
    expect(texts[0]).toEqual(texts[1] as never);
  });

  test("a token from one request in the next one", async () => {
    const bodies = await Promise.all(
      Object.values(servers).map(async ({ url }) => {
        const token = await (await fetch(new URL("/token", url))).text();
        return (await fetch(new URL("/jwt/page", url), { headers: { Authorization: `Bearer ${token}` } })).json();
      }),
    );
    expect(bodies).toEqual([{ sub: "me" }, { sub: "me" }]);
  });

  test("a WebSocket", () => echoes(servers));
});

describe("Elysia", () => {
  const servers = started("elysia");
  const requests: Request[] = [
    ["/"],
    ["/", "HEAD"],
    ["/users/1"],
    ["/users/x"],
    ["/query?page=2"],
    ["/query?page=x"],
    ["/json", "POST", json, '{"a":[1,2]}'],
    ["/json", "POST", json, '{"a":"b"}'],
    ["/json", "POST", json, "{"],
    ["/text", "POST", { "Content-Type": "text/plain" }, "ä"],
    ["/cookie"],
    ["/ip"],
    ["/status"],
    ["/redirect"],
    ["/throw"],
    ["/parts"],
    ["/file"],
    ["/nowhere"],
  ];
  for (const request of requests) same(servers, request);
  test("a WebSocket", () => echoes(servers));
});

/** Expects a WebSocket of each server to echo a message. */
async function echoes(servers: Servers): Promise<void> {
  for (const { url } of Object.values(servers)) {
    const socket = new WebSocket(new URL("/ws", url).href.replace(/^http/, "ws"));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    socket.addEventListener("open", () => socket.send("hello"));
    socket.addEventListener("message", ({ data }) => resolve(data));
    socket.addEventListener("error", reject);
    expect(await promise).toBe("echo hello");
    socket.close();
  }
}

test("a file server", async () => {
  const servers = await both("files");
  const targets = ["/", "/1-hello.ts", "/14-fetch.ts", "/nowhere", "/..%2f..%2fetc/passwd", "/license", "/%C3%A4"];
  for (const method of ["GET", "HEAD"]) {
    for (const target of targets) {
      const [ours, theirs] = (await Promise.all(
        Object.values(servers).map(({ port }) => ask(port as number, method, target)),
      )) as [Answer, Answer];
      removeFileFields(ours, theirs);
      if (method === "HEAD" && theirs.headers["content-type"] === undefined) delete ours.headers["content-type"];
      expect({ target, ...ours }).toEqual({ target, ...theirs });
    }
  }
  for (const server of Object.values(servers)) await server.stop(true);
});

/** Removes the fields that only one of the servers sends with a file. */
function removeFileFields(...answers: Answer[]): void {
  for (const { headers } of answers)
    for (const name of ["accept-ranges", "etag", "last-modified"]) delete headers[name];
}

/** The client of the router in apps/trpc.ts. */
interface TrpcClient {
  hello: { query(name: string): Promise<string> };
  list: { query(): Promise<string[]> };
  slow: { query(): Promise<string> };
  add: { mutate(item: string): Promise<{ count: number }> };
  fail: { query(): Promise<never> };
}

test("a tRPC router, with batches, errors, mutations and a subscription", async () => {
  const servers = await both("trpc");
  const results = await Promise.all(
    Object.values(servers).map(async ({ url }) => {
      const options = { url: new URL("/trpc", url).href };
      const batching = createTRPCClient({ links: [httpBatchLink(options)] }) as unknown as TrpcClient;
      const single = createTRPCClient({ links: [httpLink(options)] }) as unknown as TrpcClient;
      const batch = await Promise.all([batching.hello.query("ä"), batching.list.query(), batching.slow.query()]);
      const added = await single.add.mutate("second");
      const failure = await single.fail.query().catch((error: Error) => error.message);
      const list = await single.list.query();
      const { headers, body } = await ask(Number(url.port), "GET", "/trpc/count", { Accept: "text/event-stream" });
      const health = await (await fetch(new URL("/health", url))).text();
      return [batch, added, list, failure, headers["content-type"], body, health];
    }),
  );
  expect(results[0]).toEqual(results[1] as never);
  expect(results[0]?.[1]).toEqual({ count: 2 });
  expect(results[0]?.[5]).toContain("data: 2");
  for (const server of Object.values(servers)) await server.stop(true);
});

test("a Model Context Protocol server over Server-Sent Events", async () => {
  const servers = await both("mcp");
  const results = await Promise.all(
    Object.values(servers).map(async ({ url }) => {
      const controller = new AbortController();
      const events = await fetch(new URL("/sse", url), { signal: controller.signal });
      const lines = readEvents(events.body as ReadableStream<Uint8Array>);
      const endpoint = (await lines.next()).value as string;
      const call = async (message: object): Promise<unknown> => {
        const accepted = await fetch(new URL(endpoint.slice("endpoint ".length), url), {
          method: "POST",
          body: JSON.stringify({ jsonrpc: "2.0", ...message }),
        });
        return [accepted.status, await accepted.text(), (await lines.next()).value];
      };
      const replies = [
        await call({ id: 1, method: "initialize" }),
        await call({ id: 2, method: "tools/list" }),
        await call({ id: 3, method: "tools/call", params: { name: "add", arguments: { a: 2, b: 3 } } }),
        await call({ id: 4, method: "nothing/like/it" }),
      ];
      const missing = await fetch(new URL("/messages/none", url), { method: "POST", body: "{}" });
      controller.abort();
      return [events.headers.get("content-type"), endpoint, replies, missing.status];
    }),
  );
  expect(results[0]).toEqual(results[1] as never);
  expect(JSON.stringify(results[0])).toContain('\\"text\\":\\"5\\"');
  for (const server of Object.values(servers)) await server.stop(true);
});

/** Yields the name and the data of each event. */
async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(text.slice(0, end)) ?? [];
      yield `${name} ${data}`;
    }
  }
  return undefined;
}

test("a chat over WebSockets", async () => {
  const servers = await both("chat");
  const results = await Promise.all(
    Object.values(servers).map(async (server) => {
      const received: string[] = [];
      let wake: () => void = () => {};
      const until = async (count: number): Promise<void> => {
        while (received.length < count) await new Promise<void>((resolve) => (wake = resolve));
      };
      const enter = async (name: string, onMessage: (text: string) => void): Promise<WebSocket> => {
        const socket = new WebSocket(`${server.url.href.replace(/^http/, "ws")}?name=${name}`);
        socket.addEventListener("message", ({ data }) => onMessage(String(data)));
        await new Promise((resolve) => socket.addEventListener("open", resolve));
        return socket;
      };
      const ann = await enter("ann", (text) => {
        received.push(text);
        wake();
      });
      await until(1);
      const bob = await enter("bob", () => {});
      await until(2);
      bob.send("hello");
      await until(3);
      bob.close();
      await until(4);
      ann.close();
      const plain = await ask(server.port as number, "GET", "/");
      return [received, plain];
    }),
  );
  expect(results[0]).toEqual(results[1] as never);
  expect(results[0]?.[0]).toEqual([
    "ann has entered the chat",
    "bob has entered the chat",
    "bob: hello",
    "bob has left the chat",
  ]);
  for (const server of Object.values(servers)) await server.stop(true);
});
