// The server object of serve(), beside that of Bun.serve.

import { afterAll, afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BunServer, serve } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { run } from "../support/programs.ts";
import { ask } from "./support/ask.ts";

setDefaultTimeout(60_000);

type Options = Bun.Serve.Options<undefined, string>;
type AnyServer = Bun.Server<undefined>;

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const running: AnyServer[] = [];
afterEach(() => Promise.all(running.splice(0).map((server) => server.stop(true))));
afterAll(() => rmSync(folder, { recursive: true }));

const hello = (): Response => new Response("hello");
const defaults = { hostname: "127.0.0.1", port: 0, development: false };

const starters: [string, (options: Options) => AnyServer][] = [
  ["serve", (options) => serve(options)],
  ["Bun.serve", (options) => Bun.serve(options)],
];

function started(start: (options: Options) => AnyServer, options: object): AnyServer {
  const server = start({ ...defaults, ...options } as Options);
  running.push(server);
  return server;
}

/** Sends a GET request for a target, and returns the status and the body. */
async function get(server: AnyServer, target: string = "/"): Promise<string> {
  const { status, body } = await ask(server.port as number, "GET", target);
  return `${status} ${body}`;
}

/** Runs the same steps with both servers, and expects the same result. */
function same(title: string, steps: (start: (options: object) => AnyServer) => unknown): void {
  test(title, async () => {
    const results: unknown[] = [];
    for (const [, start] of starters) results.push(await steps((options) => started(start, options)));
    expect(results[0]).toEqual(results[1] as never);
    expect(results[0]).toBeDefined();
  });
}

/** Returns the server's properties, with its port replaced. */
function propertiesOf(server: AnyServer): unknown {
  const { port, hostname, url, id, development, protocol, pendingRequests, pendingWebSockets } = server;
  const portText = `:${port}`;
  return [
    port === undefined,
    hostname,
    url instanceof URL,
    url.href.replace(portText, ":PORT"),
    id,
    development,
    protocol,
    pendingRequests,
    pendingWebSockets,
  ];
}

describe("properties", () => {
  for (const options of [
    {},
    { hostname: "localhost" },
    { hostname: "::1" },
    { port: "0" },
    { id: "mine" },
    { id: null },
    { development: true },
    { development: { hmr: false } },
    { hostname: undefined, unix: join(folder, "a b.sock") },
    { hostname: undefined, unix: `\0epoll-hello-${process.pid}` },
    { hostname: undefined, port: 5, unix: join(folder, "port.sock") },
  ]) {
    same(JSON.stringify(options).replace(folder, ""), async (start) => {
      const server = start({ fetch: hello, ...options });
      const properties = propertiesOf(server);
      await server.stop(true); // before the other server listens on the same path
      return properties;
    });
  }

  same("without a host name, the server listens on all addresses and calls itself localhost", async (start) => {
    const server = start({ hostname: undefined, fetch: hello });
    return [propertiesOf(server), await get(server)];
  });
});

describe("requestIP", () => {
  const tell = (request: Request, server: AnyServer): Response => {
    const { address, family, port } = server.requestIP(request) ?? {};
    return Response.json([address, family, typeof port]);
  };
  for (const hostname of ["127.0.0.1", "0.0.0.0", "::", undefined]) {
    same(`on ${hostname}`, (start) => get(start({ hostname, fetch: tell })));
  }
  same("of a POST request", async (start) => {
    const server = start({ fetch: tell });
    return ask(server.port as number, "POST", "/", {}, "body");
  });
  same("on a unix socket", async (start) => {
    const unix = join(folder, "ip.sock");
    const server = start({
      hostname: undefined,
      unix,
      fetch: (request: Request) => Response.json(server.requestIP(request)),
    });
    const answer = await ask(unix, "GET", "/");
    await server.stop(true);
    return answer;
  });
  same("of another request", (start) => start({ fetch: hello }).requestIP(new Request("http://localhost/")));
  same("of something else", (start) => {
    const server = start({ fetch: hello });
    expect(() => server.requestIP(5 as never)).toThrow(/Request/);
    expect(() => server.timeout(5 as never, 5)).toThrow(/Request/);
    server.timeout(new Request("http://localhost/"), 5);
    return true;
  });
});

describe("reload", () => {
  const say = (text: string) => (): Response => new Response(text);
  const all = {
    routes: { "/route": say("route"), "/static": new Response("static") },
    fetch: say("fetch"),
    error: say("error"),
  };
  const fail = (): never => {
    throw new Error("it fails");
  };
  const reloads: Record<string, object> = {
    "a fetch handler": { fetch: say("new fetch") },
    "a fetch handler that fails": { fetch: fail },
    "an error handler": { fetch: fail, error: say("new error") },
    "an error handler only": { error: say("new error") },
    routes: { routes: { "/static": say("new static"), "/new": new Response("new") } },
    "no routes": { routes: {} },
    nothing: {},
    "options that cannot be changed": { hostname: "192.0.2.1", port: 5, idleTimeout: 3, development: true, id: "x" },
  };
  for (const [what, options] of Object.entries(reloads)) {
    same(what, async (start) => {
      const server = start(all);
      const returned = server.reload(options as Options);
      const bodies = await Promise.all(["/route", "/static", "/new", "/"].map((target) => get(server, target)));
      return [returned === server, server.development, server.id, bodies];
    });
  }

  same("is refused if nothing could respond, and the old routes stay", async (start) => {
    const server = start({ routes: { "/": say("route") } });
    expect(() => server.reload({ routes: {} } as Options)).toThrow(TypeError);
    expect(() => server.reload({ port: 70_000, fetch: hello } as Options)).toThrow(RangeError);
    server.reload({ development: false } as Options);
    return get(server);
  });

  same("takes effect for requests on connections that are open", async (start) => {
    const server = start({ fetch: say("old") });
    const before = await (await fetch(server.url)).text();
    server.reload({ fetch: say("new") });
    return [before, await (await fetch(server.url)).text()];
  });
});

describe("fetch", () => {
  const tell = (request: Request): Response => new Response(`${request.method} ${new URL(request.url).pathname}`);
  same("calls the fetch handler with a Request or a URL", async (start) => {
    const server = start({ routes: { "/route": hello }, fetch: tell });
    const requests = ["/a?b", "http://other.test/c", "/route", new Request("http://other.test/d", { method: "PUT" })];
    return Promise.all(requests.map(async (request) => (await server.fetch(request)).text()));
  });
  same("rejects without a fetch handler", async (start) => {
    const server = start({ routes: { "/route": hello } });
    const thrown = await Promise.try(() => server.fetch("/route")).catch((error: Error) => error.message);
    return String(thrown).includes("fetch() requires the server to have a fetch handler");
  });
  test("passes the server to the handler", async () => {
    const server = started(serve, { fetch: (_: Request, own: AnyServer) => new Response(String(own === server)) });
    expect(await (await server.fetch("/")).text()).toBe("true");
  });
});

describe("the handlers", () => {
  same("get the server as `this` and as the second argument", async (start) => {
    const seen: boolean[] = [];
    const look = function (this: unknown, _: Request, own: unknown): Response {
      seen.push(this === server, own === server);
      return hello();
    };
    const server = start({ routes: { "/any": look, "/get": { GET: look } }, fetch: look });
    for (const target of ["/any", "/get", "/other"]) await get(server, target);
    return seen;
  });

  same("have their requests counted", async (start) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const counts: number[] = [];
    const server = start({
      fetch: async (request: Request) => {
        counts.push(server.pendingRequests);
        if (request.url.endsWith("/wait")) await promise;
        return hello();
      },
    });
    const waiting = [get(server, "/wait"), get(server, "/wait")];
    await eventually(
      () => server.pendingRequests,
      (count) => count === 2,
    );
    await get(server);
    resolve();
    await Promise.all(waiting);
    await eventually(
      () => server.pendingRequests,
      (count) => count === 0,
    );
    return counts;
  });
});

describe("stop", () => {
  /** A server with a request whose handler waits, and the request's result. */
  async function withPending(start: (options: object) => AnyServer): Promise<[AnyServer, Promise<string>, () => void]> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const server = start({
      fetch: async () => {
        await promise;
        return new Response("after all");
      },
    });
    const pending = get(server).catch((error: NodeJS.ErrnoException) => error.code);
    await eventually(
      () => server.pendingRequests,
      (count) => count === 1,
    );
    return [server, pending.then(String), resolve];
  }
  const isRefused = async (port: number): Promise<boolean> => {
    await eventually(
      () => ask(port, "GET", "/").catch((error: NodeJS.ErrnoException) => error.code),
      (result) => result === "ECONNREFUSED",
    );
    return true;
  };

  same("waits for pending requests, and refuses new connections", async (start) => {
    const [server, pending, resolve] = await withPending(start);
    const { port } = server;
    let hasStopped = false;
    const stopped = server.stop().then(() => (hasStopped = true));
    const results: unknown[] = [await isRefused(port as number), hasStopped];
    resolve();
    results.push(await pending, await stopped, await server.stop());
    return results;
  });

  same("closes connections that are idle", async (start) => {
    const server = start({ fetch: hello });
    const closed = Promise.withResolvers<boolean>();
    const socket = connect(server.port as number, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    socket.on("close", () => closed.resolve(true));
    socket.once("data", () => void server.stop());
    socket.on("error", () => {});
    return closed.promise;
  });

  for (const [how, stop] of [
    ["stop(true)", (server: AnyServer): unknown => server.stop(true)],
    ["Symbol.dispose", (server: AnyServer): unknown => server[Symbol.dispose]()],
  ] as const) {
    same(`${how} closes everything`, async (start) => {
      const [server, pending, resolve] = await withPending(start);
      await stop(server);
      const lost = /^(NaN |ECONNRESET)/.test(await pending);
      resolve();
      return lost;
    });
  }

  test("with limits, as EpollServer has them", async () => {
    const [server, pending, resolve] = await withPending((options) => started(serve, options));
    await (server as BunServer).stop({ graceMs: 1 });
    expect(await pending).toMatch(/^(NaN |ECONNRESET)/);
    resolve();
  });
});

test("closeIdleConnections closes those without a request, and the server continues", async () => {
  for (const [, start] of starters) {
    const server = started(start, { fetch: hello });
    const closed = Promise.withResolvers<void>();
    const socket = connect(server.port as number, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    socket.on("close", closed.resolve);
    await new Promise((resolve) => socket.once("data", resolve));
    expect(server.closeIdleConnections()).toBe(1);
    await closed.promise;
    expect(await get(server)).toBe("200 hello");
  }
});

describe("timeout", () => {
  test("a handler that takes longer than idleTimeout gets 503, unless server.timeout extends its time", async () => {
    const others = Promise.withResolvers<void>();
    const server = started(serve, {
      idleTimeout: 1,
      fetch: async (request: Request, own: AnyServer) => {
        const { pathname } = new URL(request.url);
        if (pathname === "/never") await new Promise(() => {});
        own.timeout(request, pathname === "/unlimited" ? 0 : 60);
        await others.promise;
        return hello();
      },
      error: () => undefined,
      onWarning() {},
    });
    const kept = [get(server, "/unlimited"), get(server, "/extended")];
    const reported = globalThis.reportError;
    globalThis.reportError = (): void => {};
    expect(await get(server, "/never")).toStartWith("503 ");
    globalThis.reportError = reported;
    others.resolve();
    expect(await Promise.all(kept)).toEqual(["200 hello", "200 hello"]);
  });

  test("is shortened for one request, later than its handler was called", async () => {
    const server = started(serve, {
      fetch: async (request: Request, own: AnyServer) => {
        await Promise.resolve();
        setTimeout(() => own.timeout(request, 0.01), 1);
        await new Promise(() => {});
      },
      onError() {},
    });
    expect(await get(server)).toStartWith("503 ");
  });

  test("does not apply to later requests on the connection", async () => {
    const server = started(serve, {
      handlerTimeoutMs: 60_000,
      fetch: async (request: Request, own: AnyServer) => {
        if (request.url.endsWith("/short")) own.timeout(request, 0.001);
        else await Bun.sleep(20);
        return hello();
      },
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    let text = "";
    const socket = connect(server.port as number, "127.0.0.1", () => {
      socket.write("GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
    });
    socket.once("data", () => socket.write("GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    socket.on("data", (chunk) => (text += chunk.toString()));
    socket.on("close", () => resolve(text));
    expect((await promise).match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
  });
});

describe("errors that nothing handles", () => {
  /** Runs a program with a server that fails, in both variants, and returns what a client and standard error get. */
  async function failing(call: string, options: string): Promise<[status: string, type: string, errors: string]> {
    const program = `
      import { serve } from ${JSON.stringify(join(import.meta.dir, "../../src/index.ts"))};
      const server = ${call}({ hostname: "127.0.0.1", port: 0, ${options} });
      const response = await fetch(server.url);
      console.log(response.status, response.headers.get("content-type"), (await response.text()).includes("it is broken"));
      await server.stop(true);`;
    const { stdout, stderr } = await run(["bun", "-e", program]);
    const [, status = "", type = ""] = /^(\d+) (.*)$/m.exec(stdout) ?? [];
    return [status, type, stderr];
  }
  const broken = `fetch() { throw new Error("it is broken"); }`;

  for (const [call] of starters) {
    test(`${call}: 500, and the error on standard error`, async () => {
      const [status, type, errors] = await failing(call, `development: false, ${broken}`);
      expect([status, type]).toEqual(["500", expect.stringMatching(/^text\/plain.* false$/)]);
      expect(errors).toContain("error: it is broken");
    });
    test(`${call}: a page with the error in development`, async () => {
      const [status, type, errors] = await failing(call, `development: true, ${broken}`);
      expect([status, type.replace(/ \w+$/, "")]).toEqual(["500", "text/html;charset=utf-8"]);
      expect(errors).toContain("error: it is broken");
    });
    test(`${call}: 204 if the handler returns nothing`, async () => {
      const [status, , errors] = await failing(call, `development: false, fetch() {}`);
      expect(status).toBe("204");
      expect(errors).toMatch(/Response/);
    });
    test(`${call}: 500 if the error handler returns nothing`, async () => {
      const [status, , errors] = await failing(call, `development: false, error() {}, ${broken}`);
      expect(status).toBe("500");
      expect(errors).toContain("error: it is broken");
    });
    test(`${call}: 500 if the error handler throws`, async () => {
      const [status, , errors] = await failing(
        call,
        `development: false, error() { throw new Error("again"); }, ${broken}`,
      );
      expect(status).toBe("500");
      expect(errors).toContain("error: again");
    });
    test(`${call}: unref lets the process exit`, async () => {
      const program = `
        import { serve } from ${JSON.stringify(join(import.meta.dir, "../../src/index.ts"))};
        const server = ${call}({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
        await fetch(server.url);
        server.unref();
        server.ref();
        server.unref();`;
      expect(await run(["bun", "-e", program])).toEqual({ code: 0, stdout: "", stderr: "" });
    });
  }
});
