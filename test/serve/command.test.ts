// epoll-hello APP with the options of Bun.serve as the app's default export.

import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli, endPrograms, run, start } from "../support/programs.ts";
import { freePort } from "../support/sockets.ts";
import { ask } from "./support/ask.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;

function appFile(text: string): string {
  const file = join(folder, `app${files++}.ts`);
  writeFileSync(file, text);
  return file;
}

const APP = `export default {
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 30,
  maxRequestBodySize: 1000,
  routes: {
    "/users/:id": (request) => Response.json([request.params.id, request.cookies.get("a")]),
    "/health": new Response("healthy"),
    "/chat": (request, server) => (server.upgrade(request) ? undefined : new Response("no", { status: 426 })),
  },
  fetch(request, server) {
    if (request.url.endsWith("/throw")) throw new Error("it is broken");
    server.timeout(request, 60);
    return Response.json([
      this === server, server.url.href.endsWith(":" + server.port + "/"), server.hostname, server.requestIP(request).address,
      server.pendingRequests, server.development,
    ]);
  },
  error: (error) => new Response(error.message, { status: 418 }),
  websocket: { message: (ws, message) => void ws.send("echo " + message) },
};`;

/** Starts the command with an app, and returns its port. */
async function startApp(text: string, ...flags: string[]): Promise<number> {
  const program = start(["bun", cli, appFile(text), ...flags]);
  const [, port = ""] = await program.output(/^listening on http:\/\/\S+:(\d+) /m);
  return Number(port);
}

test.each([[[]], [["--workers", "2"]], [["--inspect"]]])("serves them, with the flags %p", async (flags) => {
  const port = await startApp(APP, ...flags);
  expect(await ask(port, "GET", "/users/a%20b", { Cookie: "a=1" })).toMatchObject({ status: 200, body: '["a b","1"]' });
  expect(await ask(port, "GET", "/health")).toMatchObject({ status: 200, body: "healthy" });
  expect((await ask(port, "GET", "/")).body).toBe('[true,true,"127.0.0.1","127.0.0.1",1,false]');
  expect(await ask(port, "GET", "/throw")).toMatchObject({ status: 418, body: "it is broken" });
  expect((await ask(port, "POST", "/", {}, "x".repeat(1001))).status).toBe(413);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  const { promise, resolve } = Promise.withResolvers<unknown>();
  socket.addEventListener("open", () => socket.send("hello"));
  socket.addEventListener("message", ({ data }) => resolve(data));
  expect(await promise).toBe("echo hello");
  socket.close();
});

test("flags replace the address, and the server object knows the one that is used", async () => {
  const app = `export default { hostname: "192.0.2.1", port: 1, fetch: (_, server) => Response.json([server.hostname, server.port, server.url.port]) };`;
  const port = await startApp(app, "--host", "127.0.0.1", "--port", "0");
  expect((await ask(port, "GET", "/")).body).toBe(JSON.stringify(["127.0.0.1", port, String(port)]));
});

test("errors that `error` does not handle are logged, and the stack is not sent to the client", async () => {
  const app = `export default { hostname: "127.0.0.1", port: 0, error() {}, fetch() { throw new Error("it is broken"); } };`;
  const program = start(["bun", cli, appFile(app)]);
  const [, port = ""] = await program.output(/^listening on http:\/\/\S+:(\d+) /m);
  const { status, body } = await ask(Number(port), "GET", "/page");
  expect(status).toBe(500);
  expect(body).not.toContain("broken");
  await program.errors(/^warning: error in fetch, GET \/page: Error: it is broken$/m);
});

test("a page describes errors if the app asks for it", async () => {
  const app = `export default { hostname: "127.0.0.1", port: 0, development: true, fetch() { throw new Error("<broken>"); } };`;
  const { status, body } = await ask(await startApp(app), "GET", "/");
  expect(status).toBe(500);
  expect(body).toContain("<h1>500: Error: &lt;broken&gt;</h1>");
});

test("listens on the port of the environment if neither the app nor a flag has one", async () => {
  const port = freePort("127.0.0.1");
  const app = appFile(`export default { hostname: "127.0.0.1", fetch: () => new Response("here") };`);
  const program = start(["bun", cli, app], { env: { ...process.env, PORT: String(port) } });
  await program.output(new RegExp(`^listening on http://127\\.0\\.0\\.1:${port} `, "m"));
  expect((await ask(port, "GET", "/")).body).toBe("here");
});

test("an option that is not supported is reported when the app is loaded", async () => {
  const app = appFile(`export default { fetch: () => new Response(), http2: true, port: 0 };`);
  const { code, stderr } = await run(["bun", cli, app]);
  expect(stderr).toContain("serve does not support http2: only HTTP/1.1 is supported");
  expect(code).toBe(1);
});
