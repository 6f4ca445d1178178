// The shim compiles wherever the package runs: from source, bundled, compiled into one file, in Workers, in a minimal container.

import { afterEach, afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root, run, endPrograms } from "../support/programs.ts";
import { canTrace } from "../support/strace.ts";
import { pair } from "../support/tls.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const app = join(root, "test", "support", "hello-client.ts");
const index = JSON.stringify(join(root, "src", "index.ts"));
const saw = { code: 0, stdout: "[(fd, EPOLLIN)] Hello from Epoll server!\n", stderr: "" };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function script(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

test("works with bun run", async () => {
  expect(await run(["bun", "run", app])).toEqual(saw);
});

test("works with bun test", async () => {
  const path = script(
    "some.test.ts",
    `import { expect, test } from "bun:test";
     import { Epoll } from ${index};
     test("it works", () => { using epoll = new Epoll(); expect(epoll.poll(0)).toEqual([]); });`,
  );
  const { code, stderr } = await run(["bun", "test", path], { cwd: directory });
  expect(stderr).toContain("1 pass");
  expect(code).toBe(0);
});

test("works with bun build, run from another folder", async () => {
  const outfile = join(directory, "bundle", "app.js");
  expect((await run(["bun", "build", app, "--target=bun", "--outfile", outfile])).code).toBe(0);
  expect(await run(["bun", outfile], { cwd: "/" })).toEqual(saw);
});

test("works with bun build --compile, run from another folder", async () => {
  const outfile = join(directory, "compiled");
  expect((await run(["bun", "build", app, "--compile", "--outfile", outfile])).code).toBe(0);
  expect(await run([outfile], { cwd: "/" })).toEqual(saw);
});

test("TLS works with bun build --compile", async () => {
  const { cert, key } = pair("server");
  const source = script(
    "tls.ts",
    `import { EpollServer } from ${index};
     const server = new EpollServer({ hostname: "127.0.0.1", tls: ${JSON.stringify({ cert, key })}, response: "over TLS" });
     await server.start();
     console.log(await (await fetch(server.url, { tls: { rejectUnauthorized: false } })).text());
     await server.stop();`,
  );
  const outfile = join(directory, "compiled-tls");
  expect((await run(["bun", "build", source, "--compile", "--outfile", outfile])).code).toBe(0);
  expect(await run([outfile], { cwd: "/" })).toMatchObject({ code: 0, stdout: "over TLS\n" });
});

const isRoot = process.getuid?.() === 0;
const unshare = ["unshare", isRoot ? "--mount" : "--map-root-user", ...(isRoot ? [] : ["--mount"])];
const canUnshare = (await run([...unshare, "true"]).catch(() => ({ code: 1 }))).code === 0;

// Without a /proc, Bun itself does not start.
test.skipIf(!canUnshare)("works in a root directory that contains only Bun, libc and /proc", async () => {
  const bare = join(directory, "root");
  mkdirSync(join(bare, "proc"), { recursive: true });
  const bun = realpathSync(process.execPath);
  const { stdout } = await run(["ldd", bun]);
  for (const [library] of stdout.matchAll(/\/\S+/g)) {
    mkdirSync(join(bare, dirname(library)), { recursive: true });
    copyFileSync(library, join(bare, library));
  }
  copyFileSync(bun, join(bare, "bun"));
  expect((await run(["bun", "build", app, "--target=bun", "--outfile", join(bare, "app.js")])).code).toBe(0);
  const mountAndRun = 'mount --rbind /proc "$0/proc" && exec chroot "$0" /bun /app.js';
  expect(await run([...unshare, "sh", "-c", mountAndRun, bare])).toEqual(saw);
});

test("works in six Workers at the same time", async () => {
  const worker = script(
    "worker.ts",
    `import { Epoll } from ${index};
     using epoll = new Epoll();
     postMessage(epoll.poll(0).length);`,
  );
  const main = script(
    "workers.ts",
    `const answers = Array.from({ length: 6 }, () => new Promise((resolve, reject) => {
       const worker = new Worker(${JSON.stringify(worker)});
       worker.onmessage = ({ data }) => { resolve(data); worker.terminate(); };
       worker.onerror = reject;
     }));
     console.log(JSON.stringify(await Promise.all(answers)));`,
  );
  expect(await run(["bun", main])).toEqual({ code: 0, stdout: "[0,0,0,0,0,0]\n", stderr: "" });
});

test("ignores BUN_TCC_OPTIONS", async () => {
  const env = { BUN_TCC_OPTIONS: "-nonsense -DEPOLLIN=77 -include /nonexistent.h" };
  expect(await run(["bun", app], { env })).toEqual(saw);
});

test.skipIf(!canTrace)("says with which errno memfd_create failed", async () => {
  const path = script(
    "forbidden.ts",
    `const { Epoll } = await import(${index});
     try { new Epoll(); } catch ({ name, code, message }) { console.log(name, code, message); }`,
  );
  const trace = ["strace", "--follow-forks", "--output=/dev/null", "--inject=memfd_create:error=EPERM"];
  expect((await run([...trace, process.execPath, path])).stdout).toBe(
    "ErrnoError EPERM EPERM: operation not permitted, memfd_create: epoll-hello's C code cannot be compiled; " +
      "allow memfd_create(2), which a seccomp filter may forbid (SystemCallFilter= in a systemd unit)\n",
  );
});

test("loads bun:ffi on first use, not on import", async () => {
  const path = script(
    "lazy.ts",
    `const asked = [];
     const real = process.getBuiltinModule;
     process.getBuiltinModule = (name) => (asked.push(name), real.call(process, name));
     const { Epoll, Socket } = await import(${index});
     const before = asked.includes("bun:ffi");
     new Epoll().close();
     new Socket().close();
     console.log(before, asked.filter((name) => name === "bun:ffi").length);`,
  );
  expect(await run(["bun", path])).toEqual({ code: 0, stdout: "false 1\n", stderr: "" });
});

for (const [what, change, sentence] of [
  [
    "macOS",
    'Object.defineProperty(process, "platform", { value: "darwin" })',
    /^epoll-hello needs Linux, because epoll exists only there; this is Bun .* on darwin .*\.$/,
  ],
  [
    "Windows",
    'Object.defineProperty(process, "platform", { value: "win32" })',
    /^epoll-hello needs Linux, because epoll exists only there; this is Bun .* on win32 .*\.$/,
  ],
  [
    "an old Bun",
    'Object.defineProperty(process.versions, "bun", { value: "1.3.9" })',
    /^epoll-hello needs Bun 1\.4 or newer; this is Bun 1\.3\.9 on linux .*\.$/,
  ],
  [
    "an unsupported processor",
    'Object.defineProperty(process, "arch", { value: "riscv64" })',
    /^epoll-hello needs x86-64 or arm64; this is Bun .* on linux riscv64\.$/,
  ],
] as const) {
  test(`on ${what}, the import succeeds, and the first use throws an error that says what is missing`, async () => {
    const path = script(
      "elsewhere.ts",
      `${change};
       const { Epoll, EPOLLIN } = await import(${index});
       try { new Epoll(); } catch (error) { console.log(error.message); }`,
    );
    const { stdout } = await run(["bun", path]);
    expect(stdout.trimEnd()).toMatch(sentence);
  });
}

test("on another system, the command prints the same sentence and exits with code 1", async () => {
  const path = script(
    "command.ts",
    `Object.defineProperty(process, "platform", { value: "darwin" });
     process.argv.length = 2;
     await import(${JSON.stringify(join(root, "src", "tools", "cli", "main.ts"))});`,
  );
  const { code, stderr } = await run(["bun", path]);
  expect(stderr).toContain("epoll-hello needs Linux");
  expect(code).toBe(1);
});
