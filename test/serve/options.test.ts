// The options of serve(): what they mean for the server, which are rejected, and what TypeScript says about them.

import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BunServer, serve, type ServeOptions } from "../../src/index.ts";
import { resolveServeOptions } from "../../src/serve/resolve-serve-options.ts";
import { run } from "../support/programs.ts";
import { ask } from "./support/ask.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
afterAll(() => rmSync(folder, { recursive: true }));

const running: BunServer[] = [];
afterEach(() => Promise.all(running.splice(0).map((server) => server.stop(true))));

const fetch = (): Response => new Response("hello");

/** Starts a server that is stopped after the test. */
function start(options: object): BunServer {
  const server = serve({ hostname: "127.0.0.1", port: 0, fetch, ...options } as ServeOptions);
  running.push(server);
  return server;
}

describe("rejects", () => {
  test.each<[object, string]>([
    [{ prot: 1 }, 'unknown option of serve: "prot" (did you mean "port"?)'],
    [
      { websockets: {}, maxBodyByte: 1 },
      'unknown options of serve: "websockets" (did you mean "websocket"?), "maxBodyByte" (did you mean "maxBodyBytes"?)',
    ],
    [{ static: {} }, 'unknown option of serve: "static" (use "routes")'],
    [{ response: "" }, 'unknown option of serve: "response" (use "routes", or EpollServer)'],
    [{ socket: {} }, 'unknown option of serve: "socket" (use EpollServer)'],
    [{ headersTimeout: 5 }, 'unknown option of serve: "headersTimeout" (use "headerTimeoutMs")'],
    [{ tls: { key: "", cert: "" } }, "tls.cert is not in the PEM format"],
    [{ http2: true }, "serve does not support http2: only HTTP/1.1 is supported"],
    [{ http3: true }, "serve does not support http3: only HTTP/1.1 is supported"],
    [{ http1: false }, "serve does not support http1: false: HTTP/1.1 is the only version that is supported"],
    [{ fetch: "x" }, 'fetch must be a function; received "x"'],
    [{ error: "x" }, 'error must be a function; received "x"'],
    [{ fetch: undefined }, 'fetch must be a function, or "routes" must have at least one route; received undefined'],
    [{ fetch: undefined, routes: {} }, 'fetch must be a function, or "routes" must have at least one route'],
    [{ error() {}, onError() {} }, 'options "error" and "onError" cannot be used together'],
    [{ unix: "/tmp/x.sock" }, 'options "unix" and "hostname" cannot be used together'],
    [{ port: 70_000 }, "port must be an integer from 0 to 65535; received 70000"],
    [{ port: 1.5 }, "port must be an integer from 0 to 65535; received 1.5"],
    [{ port: "abc" }, 'port must be an integer from 0 to 65535; received "abc"'],
    [{ port: Number.NaN }, "port must be an integer from 0 to 65535; received NaN"],
    [{ idleTimeout: 256 }, "idleTimeout must be an integer from 0 to 255, in seconds; received 256"],
    [{ idleTimeout: -1 }, "idleTimeout must be an integer from 0 to 255, in seconds; received -1"],
    [{ idleTimeout: "10" }, 'idleTimeout must be an integer from 0 to 255, in seconds; received "10"'],
    [{ idleTimeout: 1, idleTimeoutMs: 1000 }, 'options "idleTimeout" and "idleTimeoutMs" cannot be used together'],
    [{ maxRequestBodySize: -1 }, "maxRequestBodySize must be a number of bytes, or Infinity; received -1"],
    [
      { maxRequestBodySize: 1, maxBodyBytes: 1 },
      'options "maxRequestBodySize" and "maxBodyBytes" cannot be used together',
    ],
    [{ reusePort: 1 }, "reusePort must be true or false; received 1"],
    [{ ipv6Only: "yes" }, 'ipv6Only must be true or false; received "yes"'],
    [{ maxHeaderBytes: 1 }, "maxHeaderBytes must be an integer from 16 to 2147483647; received 1"],
    [{ routes: "x" }, 'routes must be an object; received "x"'],
    [
      { routes: { "/x": 1 } },
      'routes["/x"] must be a function, a Response, false, a Bun.file(), a directory { dir }, or an object of these by method; received 1',
    ],
    [{ routes: { "/x": "text" } }, 'routes["/x"] must be a function, a Response'],
    [{ routes: { "/x": true } }, 'routes["/x"] must be a function, a Response'],
    [{ routes: { "/x": {} } }, 'routes["/x"] must be a function, a Response'],
    [{ routes: { "/x": { get: fetch } } }, 'routes["/x"]: "get" is not one of the methods GET, POST,'],
    [{ routes: { "/x": { GET: 5 } } }, 'routes["/x"].GET must be a function, a Response'],
    [{ routes: { x: fetch } }, 'route "x" must start with "/"'],
    [{ routes: { "*": fetch } }, 'route "*" must start with "/"'],
    [{ routes: { "/é": fetch } }, 'route "/é" has characters that are not ASCII: write "/%C3%A9"'],
    [{ routes: { "/:1": fetch } }, 'route "/:1": the parameter :1 begins with a digit'],
    [{ routes: { "/:a/:a": fetch } }, 'route "/:a/:a": the parameter :a occurs twice'],
    [{ routes: { "/x": new Response(new ReadableStream()) } }, 'routes["/x"]: the body of the Response is a stream'],
  ])("%o", (options, message) => {
    expect(() => start(options)).toThrow(message);
  });

  test.each([[undefined], [null], [5], ["x"], [fetch]])("%p instead of options", (options) => {
    expect(() => serve(options as never)).toThrow("the argument of serve must be an object");
  });

  test("an HTML import", async () => {
    const page = join(folder, "page.html");
    writeFileSync(page, "<p>hello</p>");
    const { default: bundle } = (await import(page)) as { default: unknown };
    expect(() => start({ routes: { "/x": bundle } })).toThrow(
      'routes["/x"]: only Bun.serve bundles HTML imports; run bun build, and serve the files that it writes',
    );
  });

  test("a Response whose body was read", async () => {
    const response = new Response("once");
    await response.text();
    expect(() => start({ routes: { "/": response } })).toThrow(
      'routes["/"]: the body of the Response was already used',
    );
  });
});

describe("accepts", () => {
  test.each<[object]>([
    [{ port: null, hostname: "127.0.0.1", unix: "", tls: null, id: null, websocket: undefined }],
    [{ http1: true, http2: false, http3: false, tls: false }],
    [{ development: { hmr: true, console: false } }],
    [{ routes: {} }],
    [{ maxHeaderBytes: 1000, maxConnections: 5, onRequest() {}, onWarning() {}, trace() {} }],
  ])("%o", (options) => {
    const server = start({ ...options, port: 0 });
    expect(server.port).toBeGreaterThan(0);
  });

  test("options are translated to those of EpollServer", () => {
    const minutes = { idleTimeoutMs: 60_000, handlerTimeoutMs: 60_000, writeTimeoutMs: 60_000 };
    const never = { idleTimeoutMs: Infinity, handlerTimeoutMs: Infinity, writeTimeoutMs: Infinity };
    expect(resolveServeOptions({ port: 1, idleTimeout: 60 }).options).toEqual({
      port: 1,
      maxBodyBytes: 2 ** 27,
      ...minutes,
    });
    expect(resolveServeOptions({ port: 1, idleTimeout: 0 }).options).toEqual({
      port: 1,
      maxBodyBytes: 2 ** 27,
      ...never,
    });
    expect(resolveServeOptions({ port: 1, idleTimeout: 60, handlerTimeoutMs: 5 }).options.handlerTimeoutMs).toBe(5);
    expect(resolveServeOptions({ port: "1", hostname: "[::1]", maxRequestBodySize: 9 }).options).toEqual({
      port: 1,
      hostname: "::1",
      maxBodyBytes: 9,
    });
    expect(resolveServeOptions({ unix: "/run/x.sock", port: 80 }).options).toEqual({
      unix: "/run/x.sock",
      maxBodyBytes: 2 ** 27,
    });
    expect(resolveServeOptions({ fd: 5 }).options).toEqual({ fd: 5, maxBodyBytes: 2 ** 27 });
  });

  test("a body up to maxRequestBodySize", async () => {
    const { port } = start({
      maxRequestBodySize: 5,
      fetch: async (request: Request) => new Response(await request.text()),
    });
    expect(await ask(port as number, "POST", "/", {}, "12345")).toMatchObject({ status: 200, body: "12345" });
    expect(await ask(port as number, "POST", "/", {}, "123456")).toMatchObject({ status: 413 });
  });

  test("an instance of a class, whose fetch uses `this`", async () => {
    class App {
      port = 0;
      hostname = "127.0.0.1";
      text = "mine";
      error = "not an option";
      fetch(): Response {
        return new Response(this.text);
      }
    }
    const server = serve(new App() as unknown as ServeOptions);
    running.push(server);
    expect(server.hostname).toBe("127.0.0.1");
    expect(await (await globalThis.fetch(server.url)).text()).toBe("mine");
  });

  test("ipv6Only, with which IPv4 is refused", async () => {
    const { port } = start({ hostname: "::", ipv6Only: true });
    expect((await globalThis.fetch(`http://[::1]:${port}/`)).status).toBe(200);
    expect(await ask(port as number, "GET", "/").catch((error: NodeJS.ErrnoException) => error.code)).toBe(
      "ECONNREFUSED",
    );
  });
});

describe("without a port", () => {
  /** Prints the port that each server would listen on. Both are created with another address, so that none is in use. */
  const program = `
    import { resolveServeOptions } from ${JSON.stringify(join(import.meta.dir, "../../src/serve/resolve-serve-options.ts"))};
    const ours = resolveServeOptions({ hostname: "127.0.0.1" }).options.port ?? 3000;
    let theirs;
    try {
      const server = Bun.serve({ hostname: "127.0.0.1", fetch: () => new Response() });
      theirs = server.port;
      await server.stop(true);
    } catch (error) {
      theirs = Number(/port (\\d+)/.exec(error.message)?.[1]);
    }
    console.log(ours, theirs);`;
  for (const variables of [
    { PORT: "38111" },
    { BUN_PORT: "38112", PORT: "38111" },
    { NODE_PORT: "38113", PORT: "38111" },
    { NODE_PORT: "38113" },
    { BUN_PORT: "x", PORT: "38111" },
  ]) {
    test(`uses that of the environment: ${JSON.stringify(variables)}`, async () => {
      const { PORT: _, BUN_PORT: __, NODE_PORT: ___, ...env } = process.env;
      const { stdout } = await run(["bun", "-e", program], { env: { ...env, ...variables } });
      const [ours, theirs] = stdout.trim().split(" ");
      expect(ours).toBe(theirs as string);
    });
  }
});

/** Not called: the compiler checks it. */
export function typed(): void {
  const server = serve({
    routes: {
      "/users/:id": (request) => new Response(request.params.id + request.cookies.size),
      "/posts/:post/comments/:comment": {
        GET: ({ params }, own) => Response.json([params.post, params.comment, own.pendingRequests]),
        POST: new Response("posted"),
      },
      // @ts-expect-error: there is no such parameter
      "/other/:id": (request) => new Response(request.params.name),
      "/off": false,
    },
    fetch(request, own) {
      return Response.json([this.port, own.requestIP(request)?.address]);
    },
    error: (failure) => new Response(failure.message),
    idleTimeout: 30,
    maxHeaderBytes: 10_000,
    onRequest: ({ target }) => void target.length,
  });
  const plain: Bun.Server<undefined> = server;
  void plain.stop(true);
  void server.stop({ graceMs: 1000 });
  server.stats.open.toFixed();
  // @ts-expect-error: neither fetch nor routes
  serve({ port: 0 });
  // @ts-expect-error: listens on a path or on a port
  serve({ fetch, port: 0, unix: "/run/x.sock" });
  // @ts-expect-error: not an option
  serve({ fetch, prot: 0 });
}
