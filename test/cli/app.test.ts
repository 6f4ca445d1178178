// epoll-hello app.ts: a module's fetch handler, served by one process or by several, traced, stepped through and shown.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messages } from "../support/inspected.ts";
import { Load } from "../support/load.ts";
import { cli, endPrograms, type Program, run, start } from "../support/programs.ts";
import { session } from "../support/step-session.ts";
import { teamOf } from "../support/workers.ts";

setDefaultTimeout(60_000);

let folder = "";
afterEach(async () => {
  await endPrograms();
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

/** A handler that has to wait for a timer, one that throws, one that never answers; and a timer that never ends. */
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

function written(text: string = APP): string {
  if (folder === "") folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const file = join(folder, "app.ts");
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file); // who loads it meanwhile has the old one or the new one, and no half
  return file;
}

const place = ["--host", "127.0.0.1", "--port", "0"];

async function serving(...flags: string[]): Promise<{ program: Program; url: string }> {
  const program = start(["bun", cli, written(), ...place, ...flags]);
  const [, url = ""] = await program.output(/^listening on (\S+)/m);
  return { program, url };
}

test("handlers may wait for timers; a line for each request; what one throws is shown, and its client gets 500", async () => {
  const { program, url } = await serving();
  const replies = await Promise.all(Array.from({ length: 3 }, async () => (await fetch(url)).text()));
  expect(replies.sort()).toEqual([1, 2, 3].map((n) => `visit ${n} of ${program.pid}`));
  expect((await fetch(`${url}/broken`)).status).toBe(500);
  await program.output(/^127\.0\.0\.1:\d+ {2}GET \/broken HTTP\/1\.1 {2}500$/m);
  await program.errors(/Error: it is broken\n +at .*app\.ts:7.*\n(?! *at )/); // and no frame of ours
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0); // although a timer of its own would go on
  expect(program.stdout).toMatch(/\nserved 4 requests on \d connections?\n$/);
});

/** Wait until it takes no more connections. */
async function refused(url: string): Promise<void> {
  const headers = { Connection: "close" };
  for (;;)
    if (
      !(await fetch(url, { headers })
        .then((reply) => reply.ok)
        .catch(() => false))
    )
      return;
}

test("a first signal lets a handler finish, a second does not", async () => {
  const { program, url } = await serving();
  const never = fetch(`${url}/never`).then(
    () => "answered",
    () => "lost",
  );
  expect(await (await fetch(url)).text()).toContain("visit 1");
  program.kill("SIGINT");
  await refused(url); // it has heard it
  program.kill("SIGINT");
  expect(await program.exited).toBe(130);
  expect(await never).toBe("lost");
});

test("--workers: each loads it; SIGHUP loads it anew, and no request is lost", async () => {
  const app = written();
  const { program, port, pids } = await teamOf(start(["bun", cli, app, ...place, "--workers", "2"]));
  const load = new Load({ hostname: "127.0.0.1", port }, { kept: 2, fresh: 4 });
  await load.more(100);
  const before = pids();
  expect(before).toHaveLength(2);
  written('export default () => new Response("the new one");');
  program.kill("SIGHUP");
  const url = `http://127.0.0.1:${port}/`;
  const ask = async (): Promise<string> => (await fetch(url, { headers: { Connection: "close" } })).text();
  while (pids().some((pid) => before.includes(pid))) await load.more(10);
  for (let i = 0; i < 20; i++) expect(await ask()).toBe("the new one");
  const tally = await load.stop();
  expect(tally).toEqual({ answered: tally.answered, refused: 0, lost: 0 });
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--workers: SIGHUP with a module that is broken by then changes nothing, and says why", async () => {
  const app = written();
  const { program, port, pids } = await teamOf(start(["bun", cli, app, ...place, "--workers", "2"]));
  const before = pids();
  written('throw new Error("no database");');
  program.kill("SIGHUP");
  await program.errors(/worker \d+: .*app\.ts cannot be loaded: [^]*no database/);
  await program.errors(/the others go on as they are/);
  expect(pids()).toEqual(before);
  const reply = await fetch(`http://127.0.0.1:${port}/`);
  expect(await reply.text()).toMatch(/^visit 1 of /);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--workers with a module that cannot be loaded: each says why, exit 1", async () => {
  const app = written('throw new Error("no database"); export default 1;');
  const { code, stderr } = await run(["bun", cli, app, ...place, "--workers", "2"]);
  expect(stderr).toMatch(/worker \d+: .*app\.ts cannot be loaded: [^]*no database/);
  expect(stderr).toContain("No worker could serve");
  expect(code).toBe(1);
});

test("--trace: its loop's calls, a line each", async () => {
  const { program, url } = await serving("--trace");
  expect(await (await fetch(url)).text()).toContain("visit 1");
  await program.output(/recv\(\d+\) = \d+ +GET \/ HTTP\/1\.1/);
  await program.output(/send\(\d+\) = \d+ +HTTP\/1\.1 200 OK/);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--step: the loop stands still behind each call, and the handler's reply comes when it goes on", async () => {
  const commands = ["connect", "send", "b send", "c", "p event.type", "cl 1", "recv", "n", "q"];
  const { text, code } = await session(commands, written());
  expect(text).toMatch(/^ +send\(\d+\) = \d+ +HTTP\/1\.1 200 OK$/m);
  expect(text).toContain('(epoll) p event.type\n"send"\n');
  expect(text).toMatch(/visit 1 of \d+/);
  expect(code).toBe(0);
});

test("--inspect: the page shows it; what it throws is shown here; pausing holds up its handlers", async () => {
  const { program, url } = await serving("--inspect");
  const [, page = "", token = ""] = await program.output(/^and control it at (\S+)#([\da-f]{32})$/m);
  const order = async (order: object): Promise<number> => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await fetch(`${page}orders`, { method: "POST", headers, body: JSON.stringify(order) })).status;
  };
  expect(await (await fetch(url)).text()).toContain("visit 1");
  expect((await fetch(`${url}/broken`)).status).toBe(500);
  await program.errors(/Error: it is broken/);
  expect(await order({ kind: "pause" })).toBe(204);
  for await (const message of messages(page)) if (message.kind === "state" && message.run === "stopped") break;
  const late = fetch(url);
  expect(await order({ kind: "go", mode: { kind: "continue" } })).toBe(204);
  expect(await (await late).text()).toContain("visit 2");
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  expect(program.stdout).toContain("served 3 requests");
});

test.each([
  ["an error that nobody catches", 'setTimeout(() => { throw new Error("a timer\'s"); }, 100);', "a timer's"],
  ["process.exit", "setTimeout(() => process.exit(3), 100);", "the application has ended the server's thread"],
])("--inspect: %s in it ends the server; exit 1, and why", async (_, text, says) => {
  const app = written(`${text} export default () => new Response("hi");`);
  const program = start(["bun", cli, app, ...place, "--inspect"]);
  expect(await program.exited).toBe(1);
  expect(program.stderr).toContain(says);
});
