// Text from files, peers and names: none of it controls the terminal, whichever command prints it.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AF_UNIX, Socket } from "../../src/index.ts";
import { cli, endPrograms, run, start } from "../support/programs.ts";
import { folder, newFolder, removeFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

afterEach(async () => {
  await endPrograms();
  removeFolder();
});

/** A window title, colors, a cleared screen, 8-bit controls, a backspace, right-to-left overrides and zero-width characters. */
const HOSTILE = "\x1b]0;owned\x07\x1b[31m\x1b[2J\x9b31m\x90x\x9c\x08\x7f\u202eabc\u2066\u200f\u200b\u061c\ufeff\u2028";
/** The same without what a file name cannot contain or a shell would interpret. */
const NAME = HOSTILE.replaceAll("/", "");

const SGR = /\x1b\[\d*(?:;\d+)*m/g; // oxlint-disable-line no-control-regex -- the color that the command prints

/** Expects output without control, bidirectional and invisible characters, except for line feeds, tabs and the command's colors. */
function expectSafe(output: string, isColored = false): void {
  expect(output).not.toContain("\x1b[31m\x1b[2J");
  const rest = isColored ? output.replace(SGR, "") : output;
  const unsafe = rest.match(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu);
  expect(unsafe).toBeNull();
}

const moment = (seq: number) => ({ seq, us: seq, iteration: 1 });

/** A trace with hostile text in each field that is a string. */
function hostileTrace(): string {
  const address = { path: HOSTILE };
  const at = `${HOSTILE}/a.ts:1`;
  const events = [
    { type: "begin", version: 2, pid: 1, date: HOSTILE, program: HOSTILE },
    { type: "listen", fd: 5, address },
    { type: "create", result: 6, at },
    { type: "wait", epfd: 6, timeoutMs: -1, maxEvents: 9, result: 1, events: [[5, 1]], blockedUs: 1, at },
    { type: "accept", fd: 5, result: 7, peer: address, at },
    { type: "connect", fd: 8, address: { address: HOSTILE, port: 1, family: HOSTILE }, result: -115, at },
    { type: "recv", fd: 7, wanted: 9, result: 9, call: HOSTILE, line: HOSTILE, at },
    { type: "send", fd: 7, wanted: 9, result: 9, call: HOSTILE, bytes: HOSTILE, at },
    { type: "state", fd: 7, from: HOSTILE, to: HOSTILE },
    { type: "warning", code: HOSTILE, fd: 7, message: HOSTILE },
    { type: "iteration", workedUs: 1, dispatches: [[7, 1]] },
  ];
  return events.map((event, i) => `${JSON.stringify({ ...moment(i + 1), ...event })}\n`).join("");
}

for (const color of [undefined, "1"]) {
  test(`replay, as text and as JSON${color === undefined ? "" : ", in color"}`, async () => {
    const file = join(newFolder(), "t.jsonl");
    writeFileSync(file, hostileTrace());
    for (const flags of [[], ["--timestamps"], ["--numeric"], ["--json"], ["--chrome", join(folder, NAME)]]) {
      const { code, stdout, stderr } = await run(["bun", cli, "replay", file, ...flags], {
        env: { FORCE_COLOR: color },
      });
      expect(code).toBe(0);
      if (!flags.includes("--chrome")) expect(stdout).toContain("owned");
      expectSafe(stdout, color !== undefined);
      expectSafe(stderr, color !== undefined);
    }
  });
}

test("replay --step, and every command of the prompt that prints something of the trace", async () => {
  const file = join(newFolder(), "t.jsonl");
  writeFileSync(file, hostileTrace());
  const one = ["s", "l", "ll", "w", "a", "p event", "p fds", "i 7", "fds"];
  const commands = [
    ...Array.from({ length: 9 }, () => one).flat(),
    `p "${HOSTILE}"`,
    HOSTILE,
    `b ${HOSTILE}`,
    "b",
    "q",
  ];
  const script = `printf %s ${quote(commands.map((line) => `${line}\n`).join(""))} | "$0" "$@"`;
  const { stdout, stderr } = await run(["sh", "-c", script, process.execPath, cli, "replay", file, "--step"]);
  expect(stdout).toContain("owned");
  expectSafe(stdout);
  expectSafe(stderr);
});

test("errors about files, flags, sockets and traces", async () => {
  newFolder();
  const named = join(folder, NAME);
  const broken = join(folder, "broken.jsonl");
  const begin = '{"seq":1,"us":1,"iteration":0,"type":"begin","version":2,"pid":1,"date":""}\n';
  const cases: [string[], string][] = [
    [["replay", named], ""],
    [["replay", broken], "hello\n"],
    [["replay", broken], `${begin}${JSON.stringify({ ...moment(2), type: "close", fd: HOSTILE, result: 0 })}\n`],
    [["replay", broken], `${begin}${JSON.stringify({ ...moment(2), type: { [HOSTILE]: 1 } })}\n`],
    [["replay", broken, "--step"], `${begin}{"seq":2,"us":"${HOSTILE}\n`],
    [["replay", broken, HOSTILE], begin],
    [["replay", broken, "--chrome", join(folder, NAME, "x")], begin],
    [[named], ""],
    [[`./${NAME}.ts`], ""],
    [[`--${NAME}`], ""],
    [["--host", NAME], ""],
    [["--port", NAME], ""],
    [["--unix", join(folder, NAME, "socket")], ""],
    [["--trace-file", join(folder, NAME, "t"), "--port", "0"], ""],
    [["--trace-file", "x", "--trace-max", NAME], ""],
    [["lesson", NAME], ""],
    [["why", "--svg", join(folder, NAME, "x")], ""],
    [["addons", join(folder, NAME)], ""],
  ];
  for (const [args, trace] of cases) {
    writeFileSync(broken, trace);
    const { code, stdout, stderr } = await run(["bun", cli, ...args]);
    expect({ args, hasFailed: code > 0 }).toEqual({ args, hasFailed: true });
    expectSafe(stdout);
    expectSafe(stderr);
  }
});

test("the names of programs, apps and sockets, and what they throw", async () => {
  newFolder();
  const program = join(folder, `${NAME}.ts`);
  writeFileSync(program, `throw new Error(${JSON.stringify(HOSTILE)});`);
  const thrown = await run(["bun", cli, program, "--trace"]);
  expect(thrown.code).toBe(1);
  expectSafe(thrown.stdout);
  expectSafe(thrown.stderr);
  const app = join(folder, `app-${NAME}.ts`);
  writeFileSync(app, `export default { fetch() { throw new Error(${JSON.stringify(HOSTILE)}); } };`);
  for (const flags of [[], ["--trace"], ["--inspect"]]) {
    const socket = join(folder, `s${NAME.slice(0, 20)}`);
    const server = start(["bun", cli, app, "--unix", socket, ...flags]);
    await server.output(/listening on /);
    const response = await fetch("http://a/?q=1", { unix: socket });
    expect(response.status).toBe(500);
    await server.errors(/owned/);
    server.kill("SIGTERM");
    await server.exited;
    expectSafe(server.stdout);
    expectSafe(server.stderr);
    rmSync(socket, { force: true });
  }
});

test("a peer: its requests, and the name of its unix socket", async () => {
  newFolder();
  const path = join(folder, "s");
  for (const flags of [[], ["--trace"], ["--trace", "--show-bytes"], ["--trace=json", "--show-bytes"]]) {
    const server = start(["bun", cli, "--unix", path, ...flags]);
    await (flags.includes("--trace=json") ? server.errors(/listening/) : server.output(/listening/));
    using client = new Socket(AF_UNIX);
    client.bind({ path: join(folder, `c\x1b[31m\u009b31m\u202e`) });
    client.connect({ path });
    client.send(`GET /${HOSTILE} HTTP/1.1\r\nHost: ${HOSTILE}\r\n\r\n`);
    await server.output(flags.length === 0 ? / 400\n/ : /400 Bad Request/);
    server.kill("SIGTERM");
    await server.exited;
    expectSafe(server.stdout);
    expectSafe(server.stderr);
    client.close();
    rmSync(join(folder, `c\x1b[31m\u009b31m\u202e`), { force: true });
  }
});

test("--step: a peer's name, and the command line", async () => {
  const path = join(newFolder(), `s${NAME.slice(0, 20)}`);
  const request = 'send "GET /\\u001b[31m HTTP/1.1\\r\\n\\r\\n"';
  const commands = ["connect", "n", "s", "s", request, "n", "s", "s", "n", "recv", "fds", "i 7", "q"];
  const script = `printf %s ${quote(commands.map((line) => `${line}\n`).join(""))} | "$0" "$@"`;
  const { stdout, stderr } = await run(["sh", "-c", script, process.execPath, cli, "--step", "--unix", path]);
  expectSafe(stdout);
  expectSafe(stderr);
});

test("names of packages, in the list of addons", async () => {
  const modules = join(newFolder(), "node_modules", "evil");
  mkdirSync(modules, { recursive: true });
  writeFileSync(
    join(modules, "package.json"),
    JSON.stringify({ name: `evil${HOSTILE}`, version: HOSTILE, gypfile: true }),
  );
  writeFileSync(join(modules, `${NAME}.node`), "x");
  for (const flags of [[], ["--verbose"], ["--json"]]) {
    const { stdout, stderr } = await run(["bun", cli, "addons", folder, ...flags]);
    expect(stdout).toContain("evil");
    expectSafe(stdout);
    expectSafe(stderr);
  }
});

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
