// Routes of serve(): each probe is sent to serve() and to Bun.serve with the same options, and both give the same response.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { serve } from "../../src/index.ts";
import { ask, type Answer } from "./support/ask.ts";

setDefaultTimeout(60_000);

type Options = Bun.Serve.Options<undefined, string>;
type Probe = readonly [target: string, method?: string, headers?: Record<string, string>];

/** Starts both servers, and returns a function that sends a request to both. */
function both(options: () => Options): { ask: (...probe: Probe) => Promise<[ours: Answer, theirs: Answer]> } {
  let ports: [number, number] = [0, 0];
  let stop: () => unknown = () => undefined;
  beforeAll(() => {
    const settings = { hostname: "127.0.0.1", port: 0, development: false };
    const ours = serve({ ...settings, ...options() } as Options);
    const theirs = Bun.serve({ ...settings, ...options() } as Options);
    ports = [ours.port as number, theirs.port as number];
    stop = () => Promise.all([ours.stop(true), theirs.stop(true)]);
  });
  afterAll(() => stop());
  return {
    ask: async (target, method = "GET", headers = {}) => {
      const [ours, theirs] = ports;
      return [await ask(ours, method, target, headers), await ask(theirs, method, target, headers)];
    },
  };
}

/** Tests that both servers give the same response to each probe. */
function sameFor(servers: ReturnType<typeof both>, probes: readonly Probe[], ignored: readonly string[] = []): void {
  for (const probe of probes) {
    const [target, method = "GET", headers] = probe;
    test(`${method} ${target}${headers === undefined ? "" : ` ${JSON.stringify(headers)}`}`, async () => {
      const [ours, theirs] = await servers.ask(...probe);
      for (const name of ignored) delete ours.headers[name];
      for (const name of ignored) delete theirs.headers[name];
      // Without a body, Bun.serve says that GET's would be empty. This server says nothing about it: RFC 9110, 8.6.
      if (method === "HEAD" && ours.headers["content-length"] === undefined) {
        expect(theirs.headers["content-length"] ?? ["0"]).toEqual(["0"]);
        delete theirs.headers["content-length"];
      }
      // Bun.serve omits the type of a string in responses to HEAD.
      if (method === "HEAD" && theirs.headers["content-type"] === undefined) delete ours.headers["content-type"];
      // A body that is null may stand for the one that GET would have: then its length is not known.
      if (method === "HEAD" && ours.headers["content-length"] === undefined) delete theirs.headers["content-length"];
      expect(ours).toEqual(theirs);
      expect(theirs.status).toBeGreaterThan(0);
    });
  }
}

const say =
  (text: string) =>
  (request: Request): Response =>
    new Response(`${text} ${request.method} ${new URL(request.url).pathname}`);
const params =
  (name: string) =>
  (request: Bun.BunRequest): Response =>
    Response.json({ name, params: request.params });

describe("static responses", () => {
  const servers = both(() => ({
    routes: {
      "/text": new Response("A"),
      "/unicode": new Response("ä€🦊"),
      "/json": Response.json({ a: 1 }),
      "/blob": new Response(new Blob(["<b>"], { type: "text/html" })),
      "/headers": new Response("h", {
        status: 201,
        headers: { "X-Own": "1", ETag: '"own"', "Content-Type": "text/x" },
      }),
      "/redirect": Response.redirect("/text", 302),
      "/nothing": new Response(null, { status: 204 }),
      "/empty": new Response(""),
      "/null": new Response(null),
      "/param/:id": new Response("param"),
      "/all/*": new Response("all"),
      "/off": false,
      "/off/:id": false,
      "/both": { GET: new Response("get"), POST: new Response("post") },
    },
    fetch: say("fetch"),
  }));
  const targets = [
    "/text",
    "/unicode",
    "/json",
    "/blob",
    "/headers",
    "/redirect",
    "/nothing",
    "/empty",
    "/null",
    "/both",
  ];
  sameFor(servers, [
    ...targets.map((target) => [target] as const),
    ...targets.map((target) => [target, "HEAD"] as const),
    ["/text", "POST"],
    ["/text", "PUT"],
    ["/text", "OPTIONS"],
    ["/text", "DELETE"],
    ["/text?query"],
    ["/text/"],
    ["/TEXT"],
    ["/param/1"],
    ["/param/"],
    ["/all/"],
    ["/all/1/2"],
    ["/all"],
    ["/off"],
    ["/off/1"],
    ["/both", "POST"],
    ["/both", "PUT"],
    ["/text", "GET", { "If-None-Match": '"13099d40d095b684"' }],
    ["/text", "HEAD", { "If-None-Match": '"13099d40d095b684"' }],
    ["/text", "GET", { "If-None-Match": '"x", W/"13099d40d095b684"' }],
    ["/text", "GET", { "If-None-Match": "*" }],
    ["/text", "GET", { "If-None-Match": '"x"' }],
    ["/text", "POST", { "If-None-Match": '"13099d40d095b684"' }],
    ["/headers", "GET", { "If-None-Match": '"own"' }],
  ]);
});

describe("files", () => {
  const servers = both(() => ({
    routes: {
      "/file": Bun.file(import.meta.path),
      "/response": new Response(Bun.file(import.meta.path), { headers: { "X-Own": "1" } }),
      "/missing": new Response(Bun.file("/nonexistent/file")),
    },
    fetch: say("fetch"),
  }));
  const probes: Probe[] = [["/file"], ["/response"], ["/missing"], ["/file", "HEAD"], ["/file", "POST"]];
  sameFor(servers, probes, ["accept-ranges", "etag", "last-modified"]);
});

describe("parameters and wildcards", () => {
  const servers = both(() => ({
    routes: {
      "/users/:id": params("id"),
      "/users/:id/posts/:post": params("post"),
      "/users/me": say("me"),
      "/users/:name/posts": params("name"),
      "/twice/:a": params("a"),
      "/twice/:b": params("b"),
      "/w/*": params("w"),
      "/w/exact": say("exact"),
      "/w/:one": params("one"),
      "/w/:one/two": params("two"),
      "/middle/*/end": say("middle"),
      "/tail/": say("tail"),
      "/%C3%A9": say("encoded"),
      "/deep/a/b/c": say("deep"),
      "/deep/:x/b/d": params("back"),
      "/deep/*": say("deepest"),
    },
    fetch: say("fetch"),
  }));
  sameFor(servers, [
    ["/"],
    ["/users/1"],
    ["/users/me"],
    ["/users/"],
    ["/users"],
    ["/users/1/"],
    ["/users/1/posts"],
    ["/users/1/posts/2"],
    ["/users/me/posts"],
    ["/users/me/posts/2"],
    ["/users/1/posts/2/3"],
    ["/users/1?id=2"],
    ["/twice/1"],
    ["/w"],
    ["/w/"],
    ["/w/exact"],
    ["/w/1"],
    ["/w/1/two"],
    ["/w/1/three"],
    ["/w//x"],
    ["//w/x"],
    ["/middle/1/end"],
    ["/middle/1/2/end"],
    ["/tail/"],
    ["/tail"],
    ["/%C3%A9"],
    ["/%c3%a9"],
    ["/deep/a/b/c"],
    ["/deep/a/b/d"],
    ["/deep/a/b/e"],
    ["/users/a%20b"],
    ["/users/a+b"],
    ["/users/a%2Fb"],
    ["/users/%F0%9F%A6%8A"],
    ["/users/%25"],
    ["/users/%zz"],
    ["/users/%zzz"],
    ["/users/a%"],
    ["/users/%2"],
    ["/users/%E0%A4%A"],
    ["/users/%C3"],
    ["/users/%ff%41"],
    ["/users/a;b=c"],
    ["/users/.hidden"],
    ["/users/1", "HEAD"],
    ["/users/1", "POST"],
    ["/users/1", "PROPFIND"],
  ]);
});

// Bun 1.4.5 looks for the route of the path as it was sent, which a handler would not see in request.url.
test("routes match the normalized path, as request.url has it", async () => {
  using server = serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: { "/admin/x": say("admin"), "/w/*": say("w"), "/p/:v": params("p") },
    fetch: say("fetch"),
  });
  const bodyOf = async (target: string): Promise<string> => (await ask(server.port as number, "GET", target)).body;
  for (const target of ["/admin/../admin/x", "/./admin/x", "/w/../admin/x", "/w/%2e%2e/admin/x", "/w/.%2E/admin/x"]) {
    expect(await bodyOf(target)).toBe("admin GET /admin/x");
  }
  expect(await bodyOf("/w/sub/../x")).toBe("w GET /w/x");
  expect(await bodyOf("/p/x/../y")).toBe('{"name":"p","params":{"v":"y"}}');
  expect(await bodyOf("/p/..%2fadmin")).toBe('{"name":"p","params":{"v":"../admin"}}');
  expect(await bodyOf("/w/..")).toBe("fetch GET /");
  expect(await bodyOf("/admin/%78")).toBe("fetch GET /admin/%78");
});

describe("methods", () => {
  const servers = both(() => ({
    routes: {
      "/m": { GET: say("get"), POST: say("post"), DELETE: new Response("deleted") },
      "/head": { GET: say("get"), HEAD: () => new Response(null, { headers: { "X-Head": "1" } }) },
      "/post": { POST: say("post") },
      "/post/:id": { POST: params("post") },
      "/post/*": { GET: say("rest") },
      "/put/:id": { PUT: params("put") },
      "/*": { PATCH: say("patch") },
    },
    fetch: say("fetch"),
  }));
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
  const targets = ["/m", "/head", "/post", "/post/1", "/put/1", "/other"];
  sameFor(
    servers,
    targets.flatMap((target) => methods.map((method) => [target, method] as const)),
  );
});

describe("without fetch", () => {
  const servers = both(() => ({ routes: { "/x": say("x"), "/y": { POST: say("y") }, "/off": false } }));
  sameFor(servers, [["/x"], ["/y"], ["/y", "HEAD"], ["/y", "POST"], ["/off"], ["/z"], ["/z", "HEAD"], ["/z", "POST"]]);
});

describe("cookies", () => {
  const servers = both(() => ({
    routes: {
      "/get": (request: Bun.BunRequest) => Response.json([request.cookies.get("a"), request.cookies.size]),
      "/set": (request: Bun.BunRequest) => {
        request.cookies.set("one", "1", { httpOnly: true, maxAge: 60 });
        request.cookies.delete("two");
        return new Response("set", { headers: { "Set-Cookie": "own=1" } });
      },
      "/same": (request: Bun.BunRequest) => {
        request.cookies.set("a", request.cookies.get("a") ?? "");
        return new Response("same");
      },
      "/late": async (request: Bun.BunRequest) => {
        const { cookies } = request;
        await Bun.sleep(1);
        cookies.set("late", "ä b");
        return Response.redirect("/get", 303);
      },
      "/throw": (request: Bun.BunRequest) => {
        request.cookies.set("thrown", "1");
        throw new Error("after the cookie");
      },
      "/clone": (request: Bun.BunRequest<"/clone">) => {
        const copy = request.clone();
        return Response.json([copy.params, copy.cookies === request.cookies || copy.cookies.get("a")]);
      },
      "/readonly": (request: Bun.BunRequest) => {
        const names = ["params", "cookies"].map((name) => {
          try {
            (request as unknown as Record<string, unknown>)[name] = {};
            return "assigned";
          } catch (thrown) {
            return (thrown as Error).name;
          }
        });
        return Response.json([names, Object.keys(request), request.cookies === request.cookies]);
      },
    },
    fetch: (request: Request) => Response.json([typeof (request as Bun.BunRequest).cookies]),
    error: (failure: Bun.ErrorLike) => new Response(failure.message, { status: 500 }),
  }));
  sameFor(servers, [
    ["/get"],
    ["/get", "GET", { Cookie: "a=b%20c; a=2; d=e=f" }],
    ["/get", "POST", { Cookie: "a=1" }],
    ["/set"],
    ["/set", "POST"],
    ["/same", "GET", { Cookie: "a=5" }],
    ["/late"],
    ["/throw"],
    ["/clone", "GET", { Cookie: "a=1" }],
    ["/readonly"],
    ["/readonly", "POST"],
    ["/fetch"],
  ]);
});

describe("errors that the error handler responds to", () => {
  const servers = both(() => ({
    routes: {
      "/sync": () => {
        throw new Error("sync");
      },
      "/async": async () => {
        await Bun.sleep(1);
        throw new TypeError("async");
      },
      "/value": () => Promise.reject("a value"),
      "/file": () => new Response(Bun.file("/nonexistent/file")),
    },
    error(this: unknown, failure: Bun.ErrorLike) {
      const { name, message, code } = failure;
      return Response.json([name, message, code, typeof failure, typeof (this as Bun.Server<undefined>).stop], {
        status: 418,
      });
    },
  }));
  sameFor(servers, [["/sync"], ["/async"], ["/value"], ["/sync", "POST"], ["/async", "HEAD"]]);

  test("a file that does not exist", async () => {
    const [ours, theirs] = await servers.ask("/file");
    expect([ours.status, theirs.status]).toEqual([418, 418]);
    expect(ours.body).toContain("ENOENT: no such file or directory, open '/nonexistent/file'");
    expect(theirs.body).toContain("ENOENT: no such file or directory, open '/nonexistent/file'");
  });
});
