// The built package in Node.js: it can be imported, and every use of the kernel throws an error that says what is missing.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endPrograms, root, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const NEEDS_BUN = /^epoll-hello needs Bun 1\.4 or newer; this is Node\.js \S+ on linux \S+\.$/;
const node = Bun.which("node");

/** Expressions that need the kernel, with valid arguments. */
const uses = [
  "new lib.Epoll()",
  "lib.Epoll.fromfd(0)",
  "new lib.Socket()",
  "lib.Socket.fromfd(0)",
  "lib.socketpair()",
  "lib.pipe()",
  "lib.Descriptor.fromfd(0)",
  "new lib.EventFd()",
  "new lib.TimerFd()",
  "new lib.Inotify()",
  "new lib.MemFd('name')",
  "new lib.PidFd(process.pid)",
  "new lib.Signals(['SIGHUP'])",
  "lib.watch(0, lib.EPOLLIN, () => {})",
  "lib.watch(0, lib.EPOLLIN)",
  "new lib.EpollServer()",
  "new lib.EpollServer({ port: 0, fetch: () => new Response() })",
  "lib.listenFds()",
  "lib.notify({ ready: true })",
  "lib.inspectFd(3)",
  "new npm.Epoll(() => {}).add(0, 1)",
  "await import(preload)",
  "libuv.libuvVersion()",
  "libuv.libuvPath()",
];

describe.skipIf(node === null)("in Node.js", () => {
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
    expect(await run(["bun", join(root, "build.ts"), join(directory, "dist")])).toMatchObject({ code: 0 });
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  /** Runs a module in Node.js that imports the package as `lib`, and returns what it prints as JSON. */
  async function runInNode(body: string): Promise<unknown> {
    const script = join(directory, "script.js");
    writeFileSync(
      script,
      `import * as lib from "./dist/index.js";
       import * as libuv from "./dist/libuv/index.js";
       import * as npm from "./dist/npm-epoll/index.js";
       const preload = "./dist/npm-epoll/preload.js";
       ${body}`,
    );
    const { code, stdout, stderr } = await run([node as string, script]);
    expect([code, stderr]).toEqual([0, ""]);
    return JSON.parse(stdout);
  }

  test("every use of the kernel throws the same sentence", async () => {
    const attempt = (use: string): string =>
      `try { ${use}; messages.push("no error"); } catch (error) { messages.push(error.message); }`;
    const messages = (await runInNode(`
      const messages = [];
      ${uses.map(attempt).join("\n")}
      console.log(JSON.stringify(messages));`)) as string[];
    expect(messages).toHaveLength(uses.length);
    for (const [i, message] of messages.entries())
      expect([uses[i], message]).toEqual([uses[i], expect.stringMatching(NEEDS_BUN)]);
  });

  test("constants, formatting and argument checks work", async () => {
    const body = `
      const { EPOLLIN, EPOLLET, formatMask, formatEvents, EventList, ErrnoError } = lib;
      console.log(JSON.stringify([
        formatMask(EPOLLIN | EPOLLET),
        formatEvents([[5, EPOLLIN]]),
        new EventList(4).capacity,
        new ErrnoError(9, "read").message,
      ]));`;
    expect(await runInNode(body)).toEqual(["EPOLLIN|EPOLLET", "[(5, EPOLLIN)]", 4, "EBADF: bad file descriptor, read"]);
  });

  test("importing epoll-hello/libuv leaves process.dlopen as it was", async () => {
    const body = `console.log(JSON.stringify([/native code/.test(process.dlopen.toString()), libuv.loadedAddons(), libuv.hasActiveHandles()]));`;
    expect(await runInNode(body)).toEqual([true, [], false]);
  });
});
