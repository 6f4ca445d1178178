// epoll-hello --inspect, --step --inspect and replay --inspect, as a user runs them.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type InternetAddress, Socket } from "../../src/index.ts";
import { openFds } from "../support/fds.ts";
import { getWithToken, messages, untilRun } from "../support/inspected.ts";
import { cli, endPrograms, type Program, run, start } from "../support/programs.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

interface Inspected {
  program: Program;
  url: string;
  page: string;
  token: string;
  send(command: object): Promise<number>;
}

async function startInspected(...flags: string[]): Promise<Inspected> {
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", "--inspect", ...flags]);
  const [, url = ""] = await program.output(/^listening on (\S+)/m);
  const [, page = "", token = ""] = await program.output(/^and control it at (\S+)#([\da-f]{32})$/m);
  const send = async (command: object): Promise<number> => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await fetch(`${page}commands`, { method: "POST", headers, body: JSON.stringify(command) })).status;
  };
  return { program, url, page, token, send };
}

test.each(["SIGINT", "SIGTERM"] as const)(
  "serves, and shows a page; %s stops both, also while the loop is paused",
  async (signal) => {
    const { program, url, page, token, send } = await startInspected("--classic");
    expect(await (await fetch(url)).text()).toBe("Hello from Epoll server!");
    expect(await (await fetch(page)).text()).toContain("<title>epoll-hello</title>");
    expect(await send({ kind: "pause" })).toBe(204);
    await untilRun(`${page}#${token}`, "paused");
    program.kill(signal);
    expect(await program.exited).toBe(signal === "SIGINT" ? 130 : 0);
    expect(program.stdout).toContain("served 1 request on 1 connection\n");
    expect(program.stderr).toBe("");
  },
);

test("--inspect --fd shows a server on an inherited socket", async () => {
  const listener = new Socket();
  listener.bind({ address: "127.0.0.1", port: 0 });
  listener.listen();
  const { port } = listener.getsockname() as InternetAddress;
  const child = Bun.spawn([process.execPath, cli, "--fd", "3", "--inspect"], {
    stdio: ["ignore", "pipe", "inherit", listener.fileno()],
  });
  listener.close();
  try {
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("Hello from Epoll server!");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await child.stdout.text()).toStartWith(`listening on http://127.0.0.1:${port} `);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

test("--inspect=PORT with a port in use stops the server with exit code 1", async () => {
  const { page } = await startInspected();
  const { port } = new URL(page);
  const { code, stderr } = await run(["bun", cli, "--port", "0", `--inspect=${port}`]);
  expect(stderr).toContain(`cannot serve the inspector: bind EADDRINUSE: address already in use 127.0.0.1:${port}`);
  expect(stderr).toContain("--inspect without a port takes any free one.");
  expect(code).toBe(1);
});

test("closes the connections of pages that have been closed", async () => {
  const { program, page, token } = await startInspected();
  const before = openFds(program.pid).size;
  for (let i = 0; i < 20; i++) {
    const abort = new AbortController();
    await messages(`${page}#${token}`, abort.signal).next();
    abort.abort();
  }
  await eventually(
    () => openFds(program.pid).size,
    (count) => count <= before,
  );
});

test("--step --inspect: the page works while the prompt waits, and both show the same position", async () => {
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
        if (done) throw new Error(`exited without output matching ${pattern}:\n${text}`);
        text += decoder.decode(value);
      }
    };
    const [, page = "", token = ""] = await until(/^and control it at (\S+)#(\S+)$/m);
    await until(/^The loop is paused/m);
    const events = messages(`${page}#${token}`);
    const { value: hello } = await events.next();
    expect(hello).toMatchObject({ kind: "hello", state: { run: "paused" } });
    const post = (command: object): Promise<Response> =>
      fetch(`${page}commands`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}` },
        body: JSON.stringify(command),
      });
    expect((await post({ kind: "resume", mode: { kind: "next" } })).status).toBe(204);
    for await (const message of events) if (message.kind === "state" && message.run === "paused") break;
    child.stdin.write("p iteration\n");
    await until(/^#2 epoll_wait\(\d+, 1000\) = \[\][^]*^2$/m); // the new position, then the value
    child.stdin.write("n\nq\n");
    await until(/^#3 epoll_wait/m);
    expect(await child.exited).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});

test("replay FILE --inspect shows a saved trace on a page", async () => {
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
    expect(await (await getWithToken(page, "trace")).text()).toContain('"type":"create"');
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);

    writeFileSync(file, "nonsense\n");
    const { code, stderr } = await run(["bun", cli, "replay", file, "--inspect"]);
    expect(stderr).toContain("walk.jsonl, line 1");
    expect(code).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  [["--inspect=x"], '--inspect must be an integer from 0 to 65535; received "x"', 2],
  [["--inspect=70000"], '--inspect must be an integer from 0 to 65535; received "70000"', 2],
  [["--inspect="], "--inspect requires a value (an integer from 0 to 65535)", 2],
  [["--inspect", "--workers", "2"], "--inspect cannot be used with --workers", 2],
  [
    ["--inspect", "--systemd"],
    "--inspect cannot be used with --systemd: while the loop is paused, it can't report to systemd",
    2,
  ],
  [["--inspect", "--numeric"], "--numeric requires --trace, --trace-file or --step", 2],
  [["--inspect-brk=x"], '--inspect-brk must be an integer from 0 to 65535; received "x"', 2],
  [["--inspect", "--inspect-brk"], "--inspect cannot be used with --inspect-brk", 2],
  [["--inspect-brk", "--step"], "--step cannot be used with --inspect-brk", 2],
  [["--inspect", "--host", "nowhere.invalid"], "nowhere.invalid", 1],
  [["replay", "file", "--inspect", "--json"], "--inspect cannot be used with --json", 2],
  [["replay", "file", "--inspect", "--step"], "--inspect cannot be used with --step", 2],
] as const)("%p fails with %p and exit code %d", async (args, message, expected) => {
  const { code, stderr } = await run(["bun", cli, ...args]);
  expect(stderr).toContain(message);
  expect(code).toBe(expected);
});

test("a server that a page has paused continues when the page is closed, and the terminal says so", async () => {
  const { program, url, page, token, send } = await startInspected();
  const abort = new AbortController();
  const stream = messages(`${page}#${token}`, abort.signal);
  await stream.next();
  expect(await send({ kind: "pause" })).toBe(204);
  abort.abort();
  expect((await fetch(url)).status).toBe(200);
  await program.output(/^the inspector's page was closed while the server was paused: the server continues/m);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--inspect runs a program immediately, and its page stays after it has ended", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const file = join(folder, "program.ts");
    writeFileSync(file, 'console.log("it has run");\n');
    const program = start(["bun", cli, file, "--inspect"]);
    await program.output(/^it has run$/m);
    const [, page = ""] = await program.output(/^view it at (\S+)$/m);
    await untilRun(page, "ended");
    expect(program.stdout).toMatch(/program\.ts runs; stop with Ctrl-C/);
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
