// epoll-hello APP: serves a module's fetch handler, with one process or several, traced, stepped through and inspected.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { untilRun } from "../support/inspected.ts";
import { Load } from "../support/load.ts";
import { cli, endPrograms, type Program, root, run, start } from "../support/programs.ts";
import { freePort } from "../support/sockets.ts";
import { session } from "../support/step-session.ts";
import { workersOf } from "../support/workers.ts";

setDefaultTimeout(60_000);

let folder = "";
afterEach(async () => {
  await endPrograms();
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

/** An app whose handler waits for a timer, throws, or never responds, and which keeps an interval running. */
const APP = `
  setInterval(() => {}, 1000);
  let visits = 0;
  export default {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/broken") throw new Error("it is broken");
      if (pathname === "/never") await new Promise(() => {});
      await Bun.sleep(5);
      return new Response(\`visit \${++visits} of \${process.pid}\`);
    },
  };
`;

function writeApp(text: string = APP): string {
  if (folder === "") folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const file = join(folder, "app.ts");
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file); // atomic: a worker that loads it meanwhile reads the old file or the new one
  return file;
}

const address = ["--host", "127.0.0.1", "--port", "0"];

async function startApp(...flags: string[]): Promise<{ program: Program; url: string }> {
  const program = start(["bun", cli, writeApp(), ...address, ...flags]);
  const [, url = ""] = await program.output(/^listening on (\S+)/m);
  return { program, url };
}

test("handlers may wait for timers; an error is logged with its stack, and the client gets a 500", async () => {
  const { program, url } = await startApp();
  const bodies = await Promise.all(Array.from({ length: 3 }, async () => (await fetch(url)).text()));
  expect(bodies.sort()).toEqual([1, 2, 3].map((n) => `visit ${n} of ${program.pid}`));
  expect((await fetch(`${url}/broken`)).status).toBe(500);
  await program.output(/^127\.0\.0\.1:\d+ {2}GET \/broken HTTP\/1\.1 {2}500$/m);
  await program.errors(/^warning: error in fetch, GET \/broken: Error: it is broken\n +at .*app\.ts:7.*\n(?! *at )/m); // without frames of this package
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0); // although the interval of the app is still active
  expect(program.stdout).toMatch(/\nserved 4 requests on \d connections?\n$/);
});

test("a rejection that is not an error is logged with the request that caused it", async () => {
  const file = writeApp(`export default { fetch: () => Promise.reject("refused") };`);
  const program = start(["bun", cli, file, ...address]);
  const [, url = ""] = await program.output(/^listening on (\S+)/m);
  expect((await fetch(`${url}/a?b=1`, { method: "POST", body: "x" })).status).toBe(500);
  await program.errors(/^warning: error in fetch, POST \/a\?b=1: "refused"$/m);
  await fetch(`${url}/${"x".repeat(300)}`);
  await program.errors(/^warning: error in fetch, GET \/x{199}\.\.\.: "refused"$/m);
});

test.each(["--no-quiet", "--inspect"])(
  "with %s, does not claim to serve HTTP if the app handles sockets",
  async (flag) => {
    const file = writeApp(`export default { socket: { data(socket, bytes) { socket.write(bytes); } } };`);
    const program = start(["bun", cli, file, ...address, flag]);
    await program.output(/^listening on tcp:\/\/127\.0\.0\.1:\d+ \(127\.0\.0\.1:\d+\); stop with Ctrl-C$/m);
  },
);

/** Waits until new connections are refused. */
async function waitUntilRefused(url: string): Promise<void> {
  const headers = { Connection: "close" };
  for (;;)
    if (
      !(await fetch(url, { headers })
        .then((response) => response.ok)
        .catch(() => false))
    )
      return;
}

test("the first signal waits for handlers, the second one does not", async () => {
  const { program, url } = await startApp();
  const never = fetch(`${url}/never`).then(
    () => "answered",
    () => "lost",
  );
  expect(await (await fetch(url)).text()).toContain("visit 1");
  program.kill("SIGINT");
  await waitUntilRefused(url); // the first signal has been handled
  program.kill("SIGINT");
  expect(await program.exited).toBe(130);
  expect(await never).toBe("lost");
});

test("--workers: SIGHUP performs a rolling restart with the new code, and loses no request", async () => {
  const app = writeApp();
  const { program, port, pids } = await workersOf(start(["bun", cli, app, ...address, "--workers", "2"]));
  const load = new Load({ hostname: "127.0.0.1", port }, { kept: 2, fresh: 4 });
  await load.more(100);
  const before = pids();
  expect(before).toHaveLength(2);
  writeApp('export default () => new Response("the new version");');
  program.kill("SIGHUP");
  const url = `http://127.0.0.1:${port}/`;
  const ask = async (): Promise<string> => (await fetch(url, { headers: { Connection: "close" } })).text();
  while (pids().some((pid) => before.includes(pid))) await load.more(10);
  for (let i = 0; i < 20; i++) expect(await ask()).toBe("the new version");
  const tally = await load.stop();
  expect(tally).toEqual({ answered: tally.answered, refused: 0, lost: 0 });
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--workers: SIGHUP with an app that cannot be loaded keeps the current workers, and logs why", async () => {
  const app = writeApp();
  const { program, port, pids } = await workersOf(start(["bun", cli, app, ...address, "--workers", "2"]));
  const before = pids();
  writeApp('throw new Error("no database");');
  program.kill("SIGHUP");
  await program.errors(/worker \(pid \d+\): .*app\.ts cannot be loaded: [^]*no database/);
  await program.errors(/the restart is canceled, and the current workers keep serving/);
  expect(pids()).toEqual(before);
  const response = await fetch(`http://127.0.0.1:${port}/`);
  expect(await response.text()).toMatch(/^visit 1 of /);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--workers: each worker logs why the app cannot be loaded, and the exit code is 1", async () => {
  const app = writeApp('throw new Error("no database"); export default 1;');
  const { code, stderr } = await run(["bun", cli, app, ...address, "--workers", "2"]);
  expect(stderr).toMatch(/worker \(pid \d+\): .*app\.ts cannot be loaded: [^]*no database/);
  expect(stderr).toContain("error: no worker could start");
  expect(code).toBe(1);
});

test("--trace prints the system calls of its loop", async () => {
  const { program, url } = await startApp("--trace");
  expect(await (await fetch(url)).text()).toContain("visit 1");
  await program.output(/recv\(\d+\) = \d+ +GET \/ HTTP\/1\.1/);
  await program.output(/send\(\d+\) = \d+ +HTTP\/1\.1 200 OK/);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--step pauses the loop after each call, and the handler's response is sent when the loop continues", async () => {
  const commands = ["connect", "send", "b send", "c", "p event.type", "cl 1", "recv", "n", "q"];
  const { text, code } = await session(commands, writeApp());
  expect(text).toMatch(/^ +send\(\d+\) = \d+ +HTTP\/1\.1 200 OK$/m);
  expect(text).toContain('(epoll) p event.type\n"send"\n');
  expect(text).toMatch(/visit 1 of \d+/);
  expect(code).toBe(0);
});

test("--inspect shows the app on a page, logs its errors, and pausing delays its responses", async () => {
  const { program, url } = await startApp("--inspect");
  const [, page = "", token = ""] = await program.output(/^and control it at (\S+)#([\da-f]{32})$/m);
  const send = async (command: object): Promise<number> => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await fetch(`${page}commands`, { method: "POST", headers, body: JSON.stringify(command) })).status;
  };
  expect(await (await fetch(url)).text()).toContain("visit 1");
  expect((await fetch(`${url}/broken`)).status).toBe(500);
  await program.errors(/Error: it is broken/);
  expect(await send({ kind: "pause" })).toBe(204);
  await untilRun(`${page}#${token}`, "paused");
  const late = fetch(url);
  expect(await send({ kind: "resume", mode: { kind: "continue" } })).toBe(204);
  expect(await (await late).text()).toContain("visit 2");
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  expect(program.stdout).toContain("served 3 requests");
});

/** Returns the URL that the command prints. */
async function urlOf(...args: string[]): Promise<string> {
  const program = start(["bun", cli, ...args]);
  const [, url = ""] = await program.output(/^listening on (\S+)/m);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  return url;
}

test("listens on the address that the app exports, unless the command line has one", async () => {
  const port = freePort("127.0.0.2");
  const app = writeApp(`export default { port: ${port}, hostname: "127.0.0.2", fetch: () => new Response("hi") };`);
  expect(await urlOf(app)).toBe(`http://127.0.0.2:${port}`);
  expect(await urlOf(app, "--inspect")).toBe(`http://127.0.0.2:${port}`);
  expect(await urlOf(app, "--host", "127.0.0.3")).toBe(`http://127.0.0.3:${port}`);
  expect(await urlOf(app, "--port", "0")).toMatch(/^http:\/\/127\.0\.0\.2:(?!8800)\d+$/);
  const unix = join(folder, "socket");
  expect(await urlOf(app, "--unix", unix)).toBe(`unix:${unix}`);
});

test("listens on the unix socket that the app exports, unless the command line has a port", async () => {
  writeApp();
  const unix = join(folder, "app.sock");
  const app = writeApp(`export default { unix: ${JSON.stringify(unix)}, fetch: () => new Response("hi") };`);
  expect(await urlOf(app)).toBe(`unix:${unix}`);
  expect(await urlOf(app, "--port", "0")).toStartWith("http://localhost:");
});

test("--workers: listens on the address that the app exports, without running the app in the supervisor", async () => {
  const app = writeApp(`
    console.log("loaded by", process.pid);
    setInterval(() => {}, 1000);
    export default { port: 0, hostname: "127.0.0.4", fetch: () => new Response("hi") };
  `);
  const { program, port, pids } = await workersOf(start(["bun", cli, app, "--workers", "2"]));
  expect(await (await fetch(`http://127.0.0.4:${port}/`)).text()).toBe("hi");
  const loadedBy = [...program.stdout.matchAll(/^loaded by (\d+)$/gm)].map(([, pid]) => Number(pid));
  expect(loadedBy.sort()).toEqual(pids().sort());
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test.each([
  ["throws", 'throw new Error("no database");', /^error: .*app\.ts cannot be loaded: [^]*no database/],
  [
    "throws after it has started a timer",
    'setInterval(() => {}, 1000); throw new Error("no database");',
    /^error: .*app\.ts cannot be loaded: [^]*no database/,
  ],
  ["calls process.exit(0)", "process.exit(0);", /^error: the app ended while it was loading \(exit code 0\)\n/],
  [
    "is killed",
    'process.kill(process.pid, "SIGKILL");',
    /^error: the app ended while it was loading \(signal SIGKILL\)\n/,
  ],
])(
  "--workers: exits with code 1 and the reason if the app %s when it is loaded for its address",
  async (_, code, message) => {
    const { code: exitCode, stderr } = await run(["bun", cli, writeApp(`${code} export default 1;`), "--workers", "2"]);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
  },
);

test("--workers: the process that reads an app's address ends after a timeout", async () => {
  const app = writeApp("await new Promise(() => setInterval(() => {}, 1000)); export default 1;");
  const module = JSON.stringify(join(root, "src/tools/cli/app-address.ts"));
  const program = `const { printAppAddress } = await import(${module}); await printAppAddress(process.argv[1], process.ppid, 100);`;
  expect(await run(["bun", "-e", program, app])).toEqual({
    code: 1,
    stdout: "",
    stderr: `error: ${app} was not loaded within 0.1 s\n`,
  });
});

test.each([
  ["an uncaught error", 'setTimeout(() => { throw new Error("a timer\'s"); }, 100);', "a timer's"],
  ["process.exit", "setTimeout(() => process.exit(3), 100);", "the application has ended the server's thread"],
])("--inspect: %s in the app stops the server with exit code 1 and the reason", async (_, text, says) => {
  const app = writeApp(`${text} export default () => new Response("hi");`);
  const program = start(["bun", cli, app, ...address, "--inspect"]);
  expect(await program.exited).toBe(1);
  expect(program.stderr).toContain(says);
});
