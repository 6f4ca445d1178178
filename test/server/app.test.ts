// What a module exports by default, as what EpollServer is to serve.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EpollServer } from "../../src/index.ts";
import { AppError, loadApp } from "../../src/server/load-app.ts";
import { root } from "../support/programs.ts";

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
  ["a function", 'export default () => new Response("yes");'],
  ["an object with fetch", 'export default { fetch: () => new Response("yes") };'],
  ["one that waits", 'export default { async fetch() { await Bun.sleep(1); return new Response("yes"); } };'],
  ["a promise of one", 'export default Promise.resolve({ fetch: () => new Response("yes") });'],
  ["a static reply", 'export default { response: "yes", idleTimeoutMs: 1000 };'],
  ["a Hono app", `import { Hono } from ${hono}; export default new Hono().get("/", (context) => context.text("yes"));`],
  ["an Elysia app", `import { Elysia } from ${elysia}; export default new Elysia().get("/", () => "yes");`],
  [
    "an instance, whose fetch knows this and the server",
    `class App { said = "yes"; fetch(_: Request, server: { port: number }) {
       return new Response(server.port > 0 ? this.said : "no server");
     } }
     export default new App();`,
  ],
])("%s is served", async (_, text) => {
  await using server = new EpollServer({ ...(await loadApp(written(text))), hostname: "127.0.0.1" });
  await server.start();
  const reply = await fetch(server.url);
  expect(await reply.text()).toBe("yes");
});

test("returns the options of the app with its address, but not those of the process", async () => {
  const app = await loadApp(
    written('export default { port: 1, hostname: "203.0.113.1", backlog: 7, maxBodyBytes: 3, response: "x" };'),
  );
  expect(app).toEqual({ port: 1, hostname: "203.0.113.1", maxBodyBytes: 3, response: "x" });
});

test("socket handlers are served, too", async () => {
  const app = await loadApp(written("export default { socket: { data(socket, bytes) { socket.end(bytes); } } };"));
  await using server = new EpollServer({ ...app, hostname: "127.0.0.1" });
  await server.start();
  const heard = Promise.withResolvers<string>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port as number,
    socket: { open: (socket) => void socket.write("echo"), data: (_, bytes) => heard.resolve(String(bytes)) },
  });
  expect(await heard.promise).toBe("echo");
});

test.each([
  ["nothing by default", "export const fetch = 1;", "has nothing to serve: export default { fetch(request)"],
  ["a text", 'export default "hello";', "has nothing to serve"],
  ["an object without any of them", "export default { port: 1 };", "neither fetch nor response nor socket"],
  ["an instance without fetch", "export default new Map();", "no method fetch"],
  ["an option that is none", "export default { fetch() {}, routes: {} };", 'EpollServer has no option "routes"'],
  ["two of them", 'export default { fetch() {}, response: "" };', "give one of response, fetch and socket"],
  ["a limit out of range", 'export default { response: "", maxHeaderBytes: 1 };', "maxHeaderBytes is a whole number"],
  ["an error at the top", 'throw new TypeError("at the top");', "at the top"],
  ["a rejection", 'export default Promise.reject(new Error("no database"));', "no database"],
  ["no TypeScript", "export default {{;", "Expected identifier"],
  ["an import that is not there", 'import "./nowhere.ts";', "nowhere.ts"],
])("%s: an AppError that names the file and says so", async (_, text, says) => {
  const file = written(text);
  const error = await loadApp(file).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  expect((error as AppError).message).toStartWith(file);
  expect((error as AppError).message).toContain(says);
});
