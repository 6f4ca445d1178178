// epoll-hello --inspect, --step --inspect and replay --inspect, as a user starts them.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFds } from "../support/fds.ts";
import { messages } from "../support/inspected.ts";
import { cli, endPrograms, type Program, run, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

interface Watched {
  program: Program;
  url: string;
  page: string;
  order(order: object): Promise<number>;
}

async function watched(...flags: string[]): Promise<Watched> {
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", "--inspect", ...flags]);
  const [, url = ""] = await program.output(/^listening on (\S+)/m);
  const [, page = "", token = ""] = await program.output(/^and control it at (\S+)#([\da-f]{32})$/m);
  const order = async (order: object): Promise<number> => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await fetch(`${page}commands`, { method: "POST", headers, body: JSON.stringify(order) })).status;
  };
  return { program, url, page, order };
}

test.each(["SIGINT", "SIGTERM"] as const)(
  "it serves, and shows a page; %s ends both, also while it stands still",
  async (signal) => {
    const { program, url, page, order } = await watched("--classic");
    expect(await (await fetch(url)).text()).toBe("Hello from Epoll server!");
    expect(await (await fetch(page)).text()).toContain("<title>epoll-hello</title>");
    expect(await order({ kind: "pause" })).toBe(204);
    for await (const message of messages(page)) if (message.kind === "state" && message.run === "stopped") break;
    program.kill(signal);
    expect(await program.exited).toBe(signal === "SIGINT" ? 130 : 0);
    expect(program.stdout).toContain("served 1 request on 1 connection\n");
    expect(program.stderr).toBe("");
  },
);

test("--inspect=PORT is the page's; a port that is taken is said, and nothing is left running", async () => {
  const { page } = await watched();
  const { port } = new URL(page);
  const { code, stderr } = await run(["bun", cli, "--port", "0", `--inspect=${port}`]);
  expect(stderr).toContain(`the page cannot be served: bind EADDRINUSE: address already in use 127.0.0.1:${port}`);
  expect(stderr).toContain("--inspect alone takes any free port.");
  expect(code).toBe(1);
});

test("the fds of pages that have gone are closed", async () => {
  const { program, page } = await watched();
  const before = openFds(program.pid).size;
  for (let i = 0; i < 20; i++) {
    const abort = new AbortController();
    await messages(page, abort.signal).next();
    abort.abort();
  }
  while (openFds(program.pid).size > before) await Bun.sleep(5);
});

test("while --step waits at its prompt the page answers; where the page goes, the prompt follows", async () => {
  const child = Bun.spawn([process.execPath, cli, "--host", "127.0.0.1", "--port", "0", "--step", "--inspect"], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    let text = "";
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const match = pattern.exec(text);
        if (match !== null) return match;
        const { value, done } = await reader.read();
        if (done) throw new Error(`it ended without ${pattern}:\n${text}`);
        text += decoder.decode(value);
      }
    };
    const [, page = "", token = ""] = await until(/^and control it at (\S+)#(\S+)$/m);
    await until(/^The loop is paused/m);
    const heard = messages(page);
    const { value: hello } = await heard.next();
    expect(hello).toMatchObject({ kind: "hello", state: { run: "stopped" } });
    const post = (order: object): Promise<Response> =>
      fetch(`${page}commands`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}` },
        body: JSON.stringify(order),
      });
    expect((await post({ kind: "resume", mode: { kind: "next" } })).status).toBe(204);
    for await (const message of heard) if (message.kind === "state" && message.run === "stopped") break;
    child.stdin.write("p iteration\n");
    await until(/^#2 epoll_wait\(\d+, 1000\) = \[\][^]*^2$/m); // where it stands now, and then the answer
    child.stdin.write("n\nq\n");
    await until(/^#3 epoll_wait/m);
    expect(await child.exited).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

test("replay FILE --inspect: the page of a saved trace", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const file = join(folder, "walk.jsonl");
    const events = [
      { seq: 1, us: 0, iteration: 0, type: "begin", version: 2, pid: 1, date: "2026-01-01T00:00:00.000Z" },
      { seq: 2, us: 5, iteration: 0, type: "create", result: 4 },
    ];
    writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    const program = start(["bun", cli, "replay", file, "--inspect"]);
    const [, page = ""] = await program.output(/ is at (\S+); stop with Ctrl-C$/m);
    const { value: hello } = await messages(page).next();
    expect(hello).toMatchObject({ kind: "hello", source: "saved", name: "walk.jsonl" });
    expect(await (await fetch(`${page}trace`)).text()).toContain('"type":"create"');
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);

    writeFileSync(file, "nonsense\n");
    const { code, stderr } = await run(["bun", cli, "replay", file, "--inspect"]);
    expect(stderr).toContain("walk.jsonl, line 1: not valid JSON");
    expect(code).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  [["--inspect=x"], '--inspect takes a whole number from 0 to 65535, not "x"'],
  [["--inspect=70000"], "--inspect takes a whole number from 0 to 65535"],
  [["--inspect="], "--inspect takes a whole number from 0 to 65535, not nothing"],
  [["--inspect", "--workers", "2"], "--inspect does not go with --workers"],
  [["--inspect", "--trace"], "--inspect does not go with --trace"],
  [["--inspect", "--host", "nowhere.invalid"], "nowhere.invalid"],
  [["replay", "file", "--inspect", "--json"], "--inspect does not go with --json"],
  [["replay", "file", "--inspect", "--step"], "--inspect does not go with --step"],
])("%p: exit 2, and what to do", async (args, message) => {
  const { code, stderr } = await run(["bun", cli, ...args]);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});
