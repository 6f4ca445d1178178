// Routes that are directories, beside those of Bun.serve.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "../../src/index.ts";
import { openFds } from "../support/fds.ts";
import { type Answer, ask } from "./support/ask.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
const site = join(folder, "site");
const files = {
  "index.html": "<p>index</p>",
  "style.css": "p {}",
  "text.txt": "0123456789",
  ".hidden": "hidden",
  noextension: "bytes",
  "unknown.extension": "bytes",
  "archive.tar.gz": "gz",
  "ä.txt": "umlaut",
  "with space/a b.txt": "space",
  "p%41.txt": "percent",
  "til~de.txt": "tilde",
  "a+b.txt": "plus",
  "empty.txt": "",
  "sub/index.html": "<p>sub</p>",
  "sub/routed.txt": "never sent",
  "no-index/x.txt": "x",
  "index-is-a-folder/index.html/x.txt": "x",
};
for (const [name, text] of Object.entries(files)) {
  mkdirSync(join(site, name, ".."), { recursive: true });
  writeFileSync(join(site, name), text);
}
writeFileSync(join(folder, "secret.txt"), "secret");
mkdirSync(join(folder, "outside"));
writeFileSync(join(folder, "outside", "index.html"), "secret");
for (const [name, target] of Object.entries({
  "link.txt": "text.txt",
  "link-folder": "sub",
  "loop.txt": "loop.txt",
  "out.txt": "../secret.txt",
  "absolute.txt": "/etc/passwd",
  "out-folder": "../outside",
  "missing-target.txt": "nowhere",
})) {
  symlinkSync(target, join(site, name));
}
Bun.spawnSync(["mkfifo", join(site, "fifo")]);
afterAll(() => rmSync(folder, { recursive: true }));

const options = {
  hostname: "127.0.0.1",
  port: 0,
  routes: {
    "/s/*": { dir: site },
    "/s/exact.txt": new Response("exact"),
    "/s/sub/routed.txt": () => new Response("a handler"),
    "/s/no/*": false,
  },
  fetch: (request: Request) => new Response(`fetch ${new URL(request.url).pathname}`, { status: 210 }),
  error: (error: Error) => new Response(`error ${error.message}`, { status: 555 }),
} as const;

/** Fields that only one of the servers sends, or that are written in another way. */
function comparable({ status, headers, body }: Answer): Answer {
  const others = { ...headers };
  for (const name of ["etag", "last-modified", "accept-ranges"]) delete others[name];
  // Without a body, its type says nothing.
  if (status >= 300) delete others["content-type"];
  return { status, headers: others, body };
}

describe("answers as Bun.serve does", () => {
  const ours = serve(options);
  const theirs = Bun.serve(options);
  afterAll(() => Promise.all([ours.stop(true), theirs.stop(true)]));
  const targets = [
    ..."/s/ /s/index.html /s/style.css /s/text.txt /s/text.txt?q=1 /s/.hidden /s/noextension /s/unknown.extension".split(
      " ",
    ),
    ..."/s/archive.tar.gz /s/%C3%A4.txt /s/%c3%a4.txt /s/with%20space/a%20b.txt /s/p%2541.txt /s/a+b.txt".split(" "),
    ..."/s/empty.txt /s/til~de.txt /s/link.txt /s/exact.txt /s/sub/routed.txt /s/no/file".split(" "),
    // directories
    ..."/s /s/sub /s/sub?a=%2F /s/sub/ /s/no-index /s/no-index/ /s/link-folder/ /s/index-is-a-folder/ /s/out-folder/".split(
      " ",
    ),
    // not there
    ..."/s/nowhere /s/nowhere/ /s/text.txt/ /s/TEXT.TXT /s/fifo /s/loop.txt /s/missing-target.txt /s/out.txt /s/absolute.txt".split(
      " ",
    ),
    `/s/${"a".repeat(300)}`,
    `/s/${"a/".repeat(3000)}`,
    // not in the one form that a path has
    ..."/s//text.txt /s/sub// /s/%74ext.txt /s/til%7Ede.txt /s/a%2Bb.txt /s/sub%2Findex.html /s/..%2fsecret.txt".split(
      " ",
    ),
    ..."/s/%zz /s/% /s/%FF /s/text.txt%20".split(" "),
  ];
  for (const method of ["GET", "HEAD", "POST"]) {
    test(method, async () => {
      for (const target of targets) {
        const [one, other] = await Promise.all(
          [ours, theirs].map((server) => ask(server.port as number, method, target)),
        );
        const [mine, bun] = [one, other].map((answer) => comparable(answer as Answer));
        if (method === "HEAD" && bun?.headers["content-type"] === undefined) delete mine?.headers["content-type"];
        expect({ target: target.slice(0, 40), ...mine }).toEqual({ target: target.slice(0, 40), ...bun } as never);
      }
    });
  }

  test("ranges and conditions", async () => {
    const both = [ours, theirs];
    const modified = (await ask(ours.port as number, "GET", "/s/text.txt")).headers["last-modified"]?.[0] as string;
    for (const headers of [
      { Range: "bytes=1-3" },
      { Range: "bytes=-3" },
      { Range: "bytes=99-" },
      { Range: "bytes=1-3", "If-Range": modified },
      { Range: "bytes=1-3", "If-Range": '"other"' },
      { "If-None-Match": "*" },
      { "If-None-Match": '"other"' },
      { "If-Modified-Since": modified },
      { "If-Match": '"other"' },
      { "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT" },
    ]) {
      const answers = await Promise.all(both.map(({ port }) => ask(port as number, "GET", "/s/text.txt", headers)));
      const [mine, bun] = answers.map(comparable);
      expect({ ...headers, ...mine }).toEqual({ ...headers, ...bun } as never);
    }
  });
});

test("reload without routes drops a directory, as it does a Response", async () => {
  const results = await Promise.all(
    [serve, Bun.serve].map(async (start) => {
      const server = (start as typeof serve)(options);
      server.reload({ fetch: () => new Response("new") });
      const answers = [];
      for (const path of ["/s/text.txt", "/s/exact.txt"])
        answers.push((await ask(server.port as number, "GET", path)).body);
      await server.stop(true);
      return answers;
    }),
  );
  expect(results[0]).toEqual(results[1] as string[]);
  expect(results[0]).toEqual(["new", "new"]);
});

test("symbolic links are followed inside of the directory, also absolute ones, but never out of it", async () => {
  const link = join(folder, "current");
  symlinkSync("site", link);
  symlinkSync(join(site, "text.txt"), join(site, "absolute-inside.txt"));
  const server = serve({ ...options, routes: { "/*": { dir: link } } });
  const get = async (path: string): Promise<unknown[]> => {
    const { status, body } = await ask(server.port as number, "GET", path);
    return [status, body];
  };
  // Bun.serve of the tests before may still have its directory open.
  const openHere = (): string[] => [...openFds().values()].filter((path) => path.startsWith(folder)).toSorted();
  const before = openHere();
  expect(await get("/absolute-inside.txt")).toEqual([200, "0123456789"]);
  for (const path of ["/out.txt", "/absolute.txt", "/out-folder/", "/out-folder/index.html"]) {
    expect(await get(path)).toEqual([404, ""]);
  }
  // The directory is looked up for each request: a deployment can replace it.
  mkdirSync(join(folder, "next"));
  writeFileSync(join(folder, "next", "text.txt"), "next");
  symlinkSync("next", `${link}.new`);
  renameSync(`${link}.new`, link);
  expect(await get("/text.txt")).toEqual([200, "next"]);
  expect(openHere()).toEqual(before);
  await server.stop(true);
});

test("paths that are not normalized match as request.url has them", async () => {
  const server = serve(options);
  const get = async (path: string): Promise<string> => (await ask(server.port as number, "GET", path)).body;
  expect(await get("/s/./text.txt")).toBe("0123456789");
  expect(await get("/s/sub/../text.txt")).toBe("0123456789");
  expect(await get("/s/%2e%2e/secret.txt")).toBe("fetch /secret.txt");
  expect(await get("/s/../../../etc/passwd")).toBe("fetch /etc/passwd");
  await server.stop(true);
});

describe("rejects", () => {
  const cases: [path: string, value: unknown, message: string][] = [
    ["/x", { dir: site }, 'routes["/x"]: the path of a directory must end in "/*"'],
    ["/x*", { dir: site }, 'routes["/x*"]: the path of a directory must end in "/*"'],
    ["/:name/*", { dir: site }, 'routes["/:name/*"]: the path of a directory cannot have parameters'],
    ["/*", { dir: join(folder, "nowhere") }, "ENOENT: no such file or directory, open"],
    ["/*", { dir: "" }, "ENOENT: no such file or directory, open ''"],
    ["/*", { dir: join(site, "text.txt") }, "ENOTDIR: not a directory, open"],
    ["/*", { dir: 1 }, 'routes["/*"].dir must be the path of a directory; received 1'],
    ["/*", { dir: site, statCache: 1 }, 'routes["/*"].statCache must be a boolean; received 1'],
    ["/*", { dir: site, index: "a.html" }, 'routes["/*"] has unknown properties: index'],
  ];
  for (const [path, value, message] of cases) {
    test(`${path} ${JSON.stringify(value).replace(folder, "")}`, () => {
      expect(() => serve({ ...options, routes: { [path]: value as Response } })).toThrow(message);
    });
  }
});

test("a directory for one method, and statCache, which changes nothing", async () => {
  const directory = { dir: site, statCache: false } as unknown as Response;
  const server = serve({ ...options, routes: { "/*": { GET: directory } } });
  const statuses = await Promise.all(
    ["GET", "HEAD", "POST"].map(async (method) => (await ask(server.port as number, method, "/text.txt")).status),
  );
  expect(statuses).toEqual([200, 200, 210]);
  await server.stop(true);
});
