// The package as it is published: packed, installed into an empty folder, and used from there.

import { afterEach, afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { findLibuv } from "../../src/libuv/find-libuv.ts";
import type { LoadedModules } from "../support/loaded-modules.ts";
import { cli, root, run, start, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
const hasLibuv = findLibuv(bunSymbols().libc) !== undefined;
afterEach(endPrograms);

let directory: string; // contains all files of these tests
let folder: string; // where the package is installed

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  // Packed from a copy: the build must not write into the tree that the tests run in.
  const copy = join(directory, "copy");
  for (const name of readdirSync(root)) {
    if (/^(\.git|dist|node_modules)$/.test(name)) continue;
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const packed = await run(["bun", "pm", "pack", "--destination", directory], { cwd: copy });
  expect(packed).toMatchObject({ code: 0 });

  folder = join(directory, "empty");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), "{}");
  const tarball = readdirSync(directory).find((name) => name.endsWith(".tgz")) ?? "none was packed";
  const installed = await run(["bun", "add", join(directory, tarball)], { cwd: folder });
  expect(installed).toMatchObject({ code: 0 });
});
afterAll(() => rmSync(directory, { recursive: true }));

test("contains the files that it needs, and no others", () => {
  const files = [...new Bun.Glob("**/*").scanSync(join(folder, "node_modules", "epoll-hello"))];
  expect(files).toContain("native/shim.c");
  expect(files).toContain("dist/index.d.ts");
  expect(files).toContain("dist/index.js");
  expect(files).toContain("src/tools/cli/main.ts");
  expect(files).toContain("bin/epoll-hello.mjs");
  for (const name of ["README.md", "LICENSE", "CHANGELOG.md"]) expect(files).toContain(name);
  expect(files.filter((file) => /^(test|bench|node_modules|docs\/build|\.ci)\//.test(file))).toEqual([]);
  for (const name of ["SECURITY.md", "docs/server.md", "examples/1-hello.ts"]) expect(files).toContain(name);
});

test("bunx epoll-hello serves", async () => {
  const program = start(["bun", "x", "--no-install", "epoll-hello", "--port", "0"], { cwd: folder });
  const [, url = ""] = await program.output(/^listening on (\S+)/m);
  expect(await (await fetch(url)).text()).toBe("Hello from Epoll server!");
  const pids = (await Bun.$`pgrep -P ${program.pid}`.nothrow().text()).trim().split("\n").filter(Boolean);
  for (const pid of pids.length > 0 ? pids.map(Number) : [program.pid]) process.kill(pid, "SIGTERM");
  expect(await program.exited).toBe(0);
});

test("the inspector bundles its page from the package, and runs a lesson", async () => {
  const flags = ["--host", "127.0.0.1", "--port", "0", "--inspect"];
  const program = start(["bun", join(folder, "node_modules", ".bin", "epoll-hello"), ...flags], { cwd: folder });
  const [, page = "", token = ""] = await program.output(/^and control it at (\S+)#(\S+)$/m);
  expect((await (await fetch(`${page}main.js`)).text()).length).toBeGreaterThan(10_000);
  expect((await fetch(`${page}style.css`)).status).toBe(200);
  const headers = { Authorization: `Bearer ${token}` };
  const lesson = await fetch(`${page}lesson?id=level-edge`, { method: "POST", headers, body: "{}" });
  expect(await lesson.json()).toMatchObject({ id: "level-edge", holds: true });
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("can be imported by an app", async () => {
  writeFileSync(join(folder, "app.ts"), readFileSync(join(root, "test", "support", "hello-client.ts")));
  expect(await run(["bun", "app.ts"], { cwd: folder })).toEqual({
    code: 0,
    stdout: "[(fd, EPOLLIN)] Hello from Epoll server!\n",
    stderr: "",
  });
});

test("the command traces a program that imports the package, and the command of another copy says that it cannot", async () => {
  const text = `import { Epoll, EPOLLIN, pipe } from "epoll-hello";
    const epoll = new Epoll();
    const [reader, writer] = pipe();
    epoll.register(reader, EPOLLIN);
    writer.write("x");
    console.log(epoll.poll().length);`;
  writeFileSync(join(folder, "program.ts"), text);
  const { code, stdout } = await run(["bun", "x", "--no-install", "epoll-hello", "program.ts", "--trace"], {
    cwd: folder,
  });
  expect(stdout).toMatch(/^#1 epoll_wait\(\d+, -1\) = \[\(\d+, EPOLLIN\)\] +\+[\d.]+s\n1\n/m);
  expect(code).toBe(0);
  const other = await run(["bun", cli, "program.ts", "--trace"], { cwd: folder });
  expect(other.stderr).toContain("program.ts imports another copy of epoll-hello, which this command cannot trace");
  expect(other.stderr).toContain(`run: bun ${join(folder, "node_modules", "epoll-hello", "bin", "epoll-hello.mjs")}`);
  expect(other.code).toBe(1);
});

const server = `import { EpollServer } from "epoll-hello";
  const server = new EpollServer({ port: 0, trace() {} });
  await server.start();
  console.log(await (await fetch(server.url)).text());
  await server.stop();`;

test.each(["hello-client.ts", "server.ts"])("%s can be compiled into one file with the package", async (name) => {
  const text = name === "server.ts" ? server : readFileSync(join(root, "test", "support", name), "utf8");
  writeFileSync(join(folder, name), text);
  expect((await run(["bun", "build", "--compile", name, "--outfile", "app"], { cwd: folder })).code).toBe(0);
  expect((await run([join(folder, "app")], { cwd: "/" })).stdout).toContain("Hello from Epoll server!");
});

test("epoll-hello/libuv loads one small bundle until an addon is loaded", async () => {
  const preload = join(root, "test", "support", "loaded-modules.ts");
  const command = ["bun", "--preload", preload, "--preload", "epoll-hello/libuv", "-e", "0"];
  const { stderr } = await run(command, { cwd: folder });
  const { files } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "") as LoadedModules;
  expect(files.filter((file) => file.includes("/dist/"))).toEqual([expect.stringMatching(/\/dist\/libuv\/index\.js$/)]);
  expect(files.filter((file) => file.includes("/epoll-hello/src/"))).toEqual([]);
});

test("the bundles that a server loads contain no module that is loaded on demand", async () => {
  const dist = join(folder, "node_modules", "epoll-hello", "dist");
  const onDemand = [...readFileSync(join(dist, "on-demand.js"), "utf8").matchAll(/require\("\.\/(\S+)\.js"\)/g)];
  expect(onDemand.length).toBeGreaterThan(5);
  writeFileSync(
    join(folder, "plain.ts"),
    `import { EpollServer } from "epoll-hello";
     await using server = new EpollServer({ fetch: () => new Response("hello") });
     await server.start();
     await fetch(server.url);`,
  );
  const preload = join(root, "test", "support", "loaded-modules.ts");
  const { stderr } = await run(["bun", "--preload", preload, "plain.ts"], { cwd: folder });
  const { files } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "") as LoadedModules;
  const bundles = files.filter((file) => file.includes("/dist/")).map((file) => readFileSync(file, "utf8"));
  expect(bundles.length).toBeGreaterThan(2);
  const loaded = new Set(
    bundles.flatMap((text) => [...text.matchAll(/^\/\/ src\/(\S+)\.ts$/gm)].map(([, name]) => name)),
  );
  expect(loaded).toContain("server/run-loop");
  expect(onDemand.map(([, name]) => name).filter((name) => loaded.has(name))).toEqual([]);
});

test("what is loaded on demand works in the installed package, and in a program that is compiled into one file", async () => {
  writeFileSync(
    join(folder, "on-demand.ts"),
    `import { EpollServer, serve } from "epoll-hello";
     await Bun.write("letters.txt", "abcdef");
     const events = [];
     const servers = {
       serve: serve({ hostname: "127.0.0.1", port: 0, routes: { "/": new Response("route") } }),
       classic: new EpollServer({ hostname: "127.0.0.1", keepAlive: false, eager: false }),
       file: new EpollServer({ hostname: "127.0.0.1", fetch: () => new Response(Bun.file("letters.txt")) }),
       metrics: new EpollServer({ hostname: "127.0.0.1", metrics: "/", trace: (event) => void events.push(event) }),
       socket: new EpollServer({ hostname: "127.0.0.1", socket: {
         data: (socket) => void socket.end("HTTP/1.0 200 OK\\r\\n\\r\\nsocket"),
       } }),
       proxy: new EpollServer({ hostname: "127.0.0.1", proxyProtocol: true }),
     };
     for (const [name, server] of Object.entries(servers)) {
       if (name !== "serve") await server.start();
       const response = await fetch(server.url, { headers: name === "file" ? { Range: "bytes=0-1,4-5" } : {} });
       const text = await response.text();
       console.log(name, response.status, text.replace(/--\\S+|\\s/g, "").slice(0, 6));
       await server.stop(name === "serve" ? true : { graceMs: 0 });
     }
     console.log(events.some(({ type }) => type === "wait"));`,
  );
  const build = ["bun", "build", "--compile", "on-demand.ts", "--outfile", "on-demand"];
  expect((await run(build, { cwd: folder })).code).toBe(0);
  for (const command of [["bun", "on-demand.ts"], ["./on-demand"]]) {
    const { code, stdout, stderr } = await run(command, { cwd: folder });
    expect(stderr).toBe("");
    const lines = [
      "serve 200 route",
      "classic 200 Hellof",
      "file 206 conten",
      "metrics 200 #HELPe",
      "socket 200 socket",
      "proxy 400 Thecon",
    ];
    expect(stdout.replaceAll("\n", "|")).toBe([...lines, "true", ""].join("|"));
    expect(code).toBe(0);
  }
});

test("WebSockets work in the installed package, and in a program that is compiled into one file", async () => {
  writeFileSync(
    join(folder, "websocket.ts"),
    `import { EpollServer } from "epoll-hello";
     const websocket = { perMessageDeflate: true, message: (ws, message) => ws.send(message, true) };
     const server = new EpollServer({ fetch: (request, server) => void server.upgrade(request), websocket });
     await server.start();
     const client = new WebSocket(server.url.replace("http", "ws"));
     client.onopen = () => client.send("hello ".repeat(100));
     client.onmessage = async ({ data }) => {
       console.log(data.length, client.extensions.split(";")[0]);
       client.close();
       await server.stop();
     };`,
  );
  const build = ["bun", "build", "--compile", "websocket.ts", "--outfile", "websocket"];
  expect((await run(build, { cwd: folder })).code).toBe(0);
  for (const command of [["bun", "websocket.ts"], ["./websocket"]]) {
    expect(await run(command, { cwd: folder })).toMatchObject({
      code: 0,
      stdout: "600 permessage-deflate\n",
      stderr: "",
    });
  }
});

test.skipIf(!hasLibuv)("epoll-hello/libuv opens libuv, also in a program that is compiled into one file", async () => {
  writeFileSync(
    join(folder, "version.ts"),
    `import { libuvVersion } from "epoll-hello/libuv"; console.log(libuvVersion());`,
  );
  const version = /^1\.\d+\.\d+\n$/;
  expect((await run(["bun", "version.ts"], { cwd: folder })).stdout).toMatch(version);
  expect((await run(["bun", "build", "--compile", "version.ts", "--outfile", "version"], { cwd: folder })).code).toBe(
    0,
  );
  expect((await run([join(folder, "version")], { cwd: "/" })).stdout).toMatch(version);
});

test("errors, traces and the debugger show the lines of its sources", async () => {
  writeFileSync(
    join(folder, "lines.ts"),
    `import { EpollServer } from "epoll-hello";
     const lines = new Set();
     const server = new EpollServer({ port: 0, trace: { listener: ({ at }) => lines.add(at), lines: true } });
     server.tick(0);
     console.log(JSON.stringify([...lines]));
     console.log(Bun.inspect(server).split(" ", 1)[0]);
     try { new EpollServer({ port: -1 }); } catch (error) { console.log(error.stack); }`,
  );
  const { stdout } = await run(["bun", "lines.ts"], { cwd: folder });
  expect(stdout).toMatch(/"src\/server\/run-loop\.ts:\d+"/);
  expect(stdout).toMatch(/^EpollServer$/m);
  expect(stdout).toMatch(/ \(\/.*\/node_modules\/epoll-hello\/src\/server\/resolve-options\.ts:\d+:\d+\)$/m);
});

test("its types pass strict checks without the types of Bun or Node", async () => {
  writeFileSync(
    join(folder, "typed.ts"),
    `import { type Address, Epoll, EPOLLIN, EpollServer, ErrnoError, EventList, serve, Socket } from "epoll-hello";
     serve({ fetch: () => undefined }).stop();
     export function use(): [fd: number, mask: number][] {
       using epoll = new Epoll();
       epoll.register(new Socket(), EPOLLIN);
       const events = new EventList(8);
       const n: number = epoll.pollInto(events, 10);
       const server = new EpollServer({ port: n, onRequest: ({ target }) => void target.length });
       const address: Address = server.address;
       const signal: "SIGINT" | "SIGTERM" | undefined = server.run();
       // @ts-expect-error: not an option
       new EpollServer({ prot: 1 });
       // @ts-expect-error: the constructor's second half is internal
       new Epoll(3);
       if (signal === undefined || !("port" in address)) throw new ErrnoError(9, "close");
       return epoll.poll();
     }`,
  );
  const options = ["--strict", "--noEmit", "--target", "esnext", "--types", "", "--skipLibCheck", "false"];
  for (const kind of [
    ["--module", "preserve", "--moduleResolution", "bundler"],
    ["--module", "nodenext", "--moduleResolution", "nodenext"],
  ]) {
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    const { stdout, code } = await run(["bun", tsc, ...options, ...kind, "typed.ts"], { cwd: folder });
    expect(stdout).toBe("");
    expect(code).toBe(0);
  }
});

test("with the types of Bun, serve has those of Bun.serve", async () => {
  for (const name of ["bun-types", "@types", "undici-types"]) {
    const to = join(folder, "node_modules", name);
    if (!existsSync(to)) symlinkSync(join(root, "node_modules", name), to);
  }
  writeFileSync(
    join(folder, "typed-serve.ts"),
    `import { type BunServer, serve } from "epoll-hello";
     const server: BunServer = serve({
       routes: { "/:id": (request) => new Response(request.params.id) },
       fetch: (request, own) => Response.json(own.requestIP(request)),
       maxConnections: 5,
     });
     export const port: number | undefined = server.port;
     export const open: number = server.stats.open;
     // @ts-expect-error: not an option
     serve({ fetch: () => new Response(), prot: 1 });
     // @ts-expect-error: neither fetch nor routes
     serve({ port: 1 });`,
  );
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const options = ["--strict", "--noEmit", "--target", "esnext", "--types", "bun-types", "--skipLibCheck"];
  const kind = ["--module", "preserve", "--moduleResolution", "bundler"];
  const { stdout, code } = await run(["bun", tsc, ...options, ...kind, "typed-serve.ts"], { cwd: folder });
  expect(stdout).toBe("");
  expect(code).toBe(0);
});

test.skipIf(Bun.which("node") === null)(
  "can be imported by Node, where the first use throws an error that says what is missing",
  async () => {
    const text = `import("epoll-hello").then(({ Epoll, EPOLLIN }) => {
    console.log(EPOLLIN);
    try { new Epoll() } catch (error) { console.log(error.message) }
  })`;
    const { stdout } = await run(["node", "-e", text], { cwd: folder });
    expect(stdout).toMatch(/^1\nepoll-hello needs Bun 1\.4 or newer; this is Node\.js .* on linux .*\.\n$/);
  },
);

/** Loads the package `epoll` as onoff does, which depends on it. No GPIO is needed. */
const dependent = `
  const { Gpio } = require("onoff");
  const { Epoll } = require("module").createRequire(require.resolve("onoff"))("epoll");
  console.log(Epoll.name, new Epoll(() => {}).close(), typeof Gpio);
`;

test("a preload replaces the package epoll for packages that depend on it, such as onoff", async () => {
  const app = join(directory, "preload");
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), "{}");
  writeFileSync(join(app, "bunfig.toml"), 'preload = ["epoll-hello/npm-epoll/preload"]\n');
  writeFileSync(join(app, "app.cjs"), dependent);
  const tarball = readdirSync(directory).find((name) => name.endsWith(".tgz")) ?? "none was packed";
  expect(await run(["bun", "add", join(directory, tarball), "onoff@6.0.3"], { cwd: app })).toMatchObject({ code: 0 });
  expect(await run(["bun", "app.cjs"], { cwd: app })).toEqual({ code: 0, stdout: "Epoll null function\n", stderr: "" });
});

test("an override replaces the package epoll, too", async () => {
  const app = join(directory, "override");
  mkdirSync(join(app, "epoll"), { recursive: true });
  writeFileSync(join(app, "package.json"), JSON.stringify({ overrides: { epoll: "file:./epoll" } }));
  writeFileSync(join(app, "epoll", "package.json"), JSON.stringify({ name: "epoll", version: "4.0.2" }));
  writeFileSync(join(app, "epoll", "index.js"), 'module.exports = require("epoll-hello/npm-epoll");\n');
  writeFileSync(join(app, "app.cjs"), dependent);
  const tarball = readdirSync(directory).find((name) => name.endsWith(".tgz")) ?? "none was packed";
  expect(await run(["bun", "add", join(directory, tarball), "onoff@6.0.3"], { cwd: app })).toMatchObject({ code: 0 });
  expect(await run(["bun", "app.cjs"], { cwd: app })).toEqual({ code: 0, stdout: "Epoll null function\n", stderr: "" });
});
