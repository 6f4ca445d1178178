// loadApp: the default exports that can be served, and the errors for those that cannot.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EpollServer } from "../../src/index.ts";
import { AppError, loadApp } from "../../src/serve/load-app.ts";
import { root } from "../support/programs.ts";
import { freePort } from "../support/sockets.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;

function written(text: string): string {
  const file = join(folder, `app${files++}.ts`);
  writeFileSync(file, text);
  return file;
}

const hono = JSON.stringify(join(root, "node_modules", "hono"));
const elysia = JSON.stringify(join(root, "node_modules", "elysia"));

test.each([
  ["a fetch handler", 'export default () => new Response("yes");'],
  ["an object with a fetch method", 'export default { fetch: () => new Response("yes") };'],
  ["an async handler", 'export default { async fetch() { await Bun.sleep(1); return new Response("yes"); } };'],
  ["a promise of an object", 'export default Promise.resolve({ fetch: () => new Response("yes") });'],
  ["a static response", 'export default { response: "yes", idleTimeoutMs: 1000 };'],
  ["a Hono app", `import { Hono } from ${hono}; export default new Hono().get("/", (context) => context.text("yes"));`],
  ["an Elysia app", `import { Elysia } from ${elysia}; export default new Elysia().get("/", () => "yes");`],
  [
    "an instance of a class, whose fetch uses this and the server",
    `class App { said = "yes"; fetch(_: Request, server: { port: number }) {
       return new Response(server.port > 0 ? this.said : "no server");
     } }
     export default new App();`,
  ],
])("serves %s", async (_, text) => {
  await using server = new EpollServer({ ...(await loadApp(written(text))), hostname: "127.0.0.1" });
  await server.start();
  const response = await fetch(server.url);
  expect(await response.text()).toBe("yes");
});

test("returns all options of the module, including those that say where to listen", async () => {
  const options = { port: 1, hostname: "203.0.113.1", backlog: 7, maxBodyBytes: 3, response: "x" };
  const app = await loadApp(written(`export default ${JSON.stringify(options)};`));
  expect(app).toEqual(options);
});

test("listens on the port that the module exports", async () => {
  const port = freePort("127.0.0.1");
  const app = await loadApp(written(`export default { port: ${port}, hostname: "127.0.0.1", response: "yes" };`));
  await using server = new EpollServer(app);
  expect(server.address).toEqual({ address: "127.0.0.1", port, family: "IPv4" });
});

test("serves module.exports of a CommonJS module", async () => {
  const file = join(folder, "app.cjs");
  writeFileSync(file, 'module.exports = { fetch: () => new Response("yes") };');
  await using server = new EpollServer({ ...(await loadApp(file)), hostname: "127.0.0.1" });
  await server.start();
  expect(await (await fetch(server.url)).text()).toBe("yes");
});

test("serves socket handlers", async () => {
  const app = await loadApp(written("export default { socket: { data(socket, bytes) { socket.end(bytes); } } };"));
  await using server = new EpollServer({ ...app, hostname: "127.0.0.1" });
  await server.start();
  const received = Promise.withResolvers<string>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port as number,
    socket: { open: (socket) => void socket.write("echo"), data: (_, bytes) => received.resolve(String(bytes)) },
  });
  expect(await received.promise).toBe("echo");
});

test.each([
  ["no default export", "export const fetch = 1;", "must be a fetch handler or an object with one: export default {"],
  ["a string", 'export default "hello";', "the default export must be a fetch handler"],
  ["a class", "export default class App { fetch() {} }", "the default export must not be a class; export an instance"],
  [
    "an object without a handler",
    "export default { port: 1 };",
    'fetch must be a function, or "routes" must have at least one route',
  ],
  ["an instance without fetch", "export default new Map();", "must have a fetch method; it is an instance of Map"],
  [
    "all unknown options at once, also without a handler",
    "export default { prot: 1, static: {}, keepAliveTimeout: 5, nothingLikeIt: 1 };",
    'unknown options of serve: "prot" (did you mean "port"?), "static" (use "routes"), ' +
      '"keepAliveTimeout" (use "idleTimeoutMs"), "nothingLikeIt"',
  ],
  [
    "options of Bun.serve beside a static response",
    'export default { response: "", routes: {}, idleTimeout: 1 };',
    'unknown options of EpollServer: "routes" (use serve(), which has routes), "idleTimeout" (use "idleTimeoutMs")',
  ],
  [
    "two handlers",
    'export default { fetch() {}, response: "" };',
    'options "response" and "fetch" cannot be used together',
  ],
  [
    "a limit out of range",
    'export default { response: "", maxHeaderBytes: 1 };',
    "maxHeaderBytes must be an integer from 16 to 2147483647; received 1",
  ],
  [
    "an Elysia app whose WebSockets lack their handlers",
    `import { Elysia } from ${elysia}; export default new Elysia().ws("/chat", { message() {} });`,
    'the WebSocket route /chat needs the handlers of elysia/ws: import { websocket } from "elysia/ws"',
  ],
  ["a module that throws", 'throw new TypeError("at the top");', "at the top"],
  ["a rejected promise", 'export default Promise.reject(new Error("no database"));', "no database"],
  ["a syntax error", "export default {{;", "Expected identifier"],
  ["a missing import", 'import "./nowhere.ts";', "nowhere.ts"],
])("rejects %s with an AppError that names the file", async (_, text, says) => {
  const file = written(text);
  const error = await loadApp(file).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  expect((error as AppError).message).toStartWith(file);
  expect((error as AppError).message).toContain(says);
});
