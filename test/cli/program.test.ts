// epoll-hello program.ts: a program on Epoll and Socket that knows nothing of it, traced, stepped through and shown, call by call.

import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messages } from "../support/inspected.ts";
import { cli, endPrograms, root, run, start } from "../support/programs.ts";
import { typedInto } from "../support/step-session.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
afterAll(() => rmSync(folder, { recursive: true }));
const index = JSON.stringify(join(root, "src", "index.ts"));
const edge = join(root, "examples", "3-edge-triggered.ts");
const echo = join(root, "examples", "2-echo.ts");

let files = 0;

function written(text: string): string {
  const file = join(folder, `program${files++}.ts`);
  writeFileSync(file, text);
  return file;
}

/** It has an event at once, prints it with its arguments, and ends. */
const SHORT = `
  import { Epoll, EPOLLIN, pipe } from ${index};
  const epoll = new Epoll();
  const [reader, writer] = pipe();
  epoll.register(reader, EPOLLIN);
  writer.write("x");
  console.log(epoll.poll().length, process.argv.slice(2));
`;

const masked = (text: string): string =>
  text
    .replace(/\(\d+/g, "(FD")
    .replace(/= \d+$/gm, "= N")
    .replace(/ +\+\d+\.\d{3}s$/gm, "");

test("--trace: each call beside what the program prints, in order, and what is wrong with it", async () => {
  const { code, stdout } = await run(["bun", cli, edge, "--trace"]);
  expect(code).toBe(0);
  const [, level = "", edgy = ""] = masked(stdout).split(/^EPOLLIN(?:\|EPOLLET)?$/m);
  expect(level.split("\n").map((line) => line.trim())).toEqual([
    "",
    "send(FD) = N",
    "#1 epoll_wait(FD, 0) = [(FD, EPOLLIN)]",
    "five bytes were sent:   [(fd, EPOLLIN)]",
    "recv(FD) = N",
    "two are read:           2",
    "#2 epoll_wait(FD, 0) = [(FD, EPOLLIN)]",
    "three are left:         [(fd, EPOLLIN)]",
    "send(FD) = N",
    "#3 epoll_wait(FD, 0) = [(FD, EPOLLIN)]",
    "another was sent:       [(fd, EPOLLIN)]",
    "recv(FD) = N",
    "recv(FD) = N",
    "recv(FD) = -1 EAGAIN",
    "the rest is read:       4",
    "#4 epoll_wait(FD, 0) = []",
    "nothing is left:        []",
    "close(FD)",
    "close(FD)",
    "close(FD)",
    "epoll_create1(EPOLL_CLOEXEC) = N",
    "epoll_ctl(FD, ADD, 9, EPOLLIN|EPOLLET)".replace("9", /ADD, (\d+), EPOLLIN\|/.exec(stdout)?.[1] ?? ""),
    "",
  ]);
  expect(edgy).toMatch(/two are read: +2\n +warning: fd \d+ is edge-triggered, but was not read until EAGAIN/);
});

test("its arguments are those behind --, its exit code is its own", async () => {
  const file = written(`${SHORT} process.exit(3);`);
  const { code, stdout } = await run(["bun", cli, file, "--trace", "--", "--one", "two"]);
  expect(stdout.replace(/\s+/g, " ")).toContain('1 [ "--one", "two" ]');
  expect(code).toBe(3);
});

test("what it throws is said, with where; exit 1", async () => {
  const file = written(`${SHORT} throw new Error("no more");`);
  for (const how of ["--trace", "--step"]) {
    const { code, stderr } = await run(["sh", "-c", 'echo c | "$0" "$@"', process.execPath, cli, file, how]);
    expect(stderr).toMatch(/Error: no more\n +at .*program\d+\.ts:8/);
    expect(code).toBe(1);
  }
});

test("--trace-file saves it, and replay shows it", async () => {
  const file = written(SHORT);
  const trace = join(folder, "trace.jsonl");
  expect((await run(["bun", cli, file, "--trace-file", trace])).code).toBe(0);
  const { stdout } = await run(["bun", cli, "replay", trace]);
  expect(masked(stdout)).toContain("#1 epoll_wait(FD, -1) = [(FD, EPOLLIN)]\n");
});

test("one on Bun's loop: iterations end when the program has nothing more to do, and the time is nobody's turn", async () => {
  const file = written(`
    import { EPOLLIN, pipe, watch } from ${index};
    const [reader, writer] = pipe();
    const watching = watch(reader, EPOLLIN, () => {
      reader.read(10);
      watching.close();
    });
    setTimeout(() => writer.write("x"), 100);
  `);
  const { code, stdout } = await run(["bun", cli, file, "--trace=json"]);
  expect(code).toBe(0);
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; awayUs?: number });
  expect(events.find(({ type }) => type === "wait")?.awayUs).toBeGreaterThan(10_000);
});

test("what is read and written otherwise is seen, too: pipes, counters, datagrams, messages", async () => {
  const file = written(`
    import { AF_INET, AF_UNIX, Epoll, EPOLLET, EPOLLIN, EventFd, pipe, Socket, socketpair, SOCK_DGRAM } from ${index};
    const epoll = new Epoll();
    const [reader, writer] = pipe();
    const counter = new EventFd();
    const [one, other] = socketpair(AF_UNIX, SOCK_DGRAM);
    const udp = new Socket(AF_INET, SOCK_DGRAM);
    udp.bind({ address: "127.0.0.1", port: 0 });
    for (const each of [reader, counter, other, udp]) epoll.register(each, EPOLLIN | EPOLLET);
    writer.write("12345");
    counter.write(1n);
    one.sendmsg([new Uint8Array(7)]);
    udp.sendto("123", udp.getsockname());
    epoll.poll(0);
    reader.read(100);
    counter.read();
    other.recvmsg(100);
    udp.recvfrom(100);
    epoll.poll(0);
  `);
  const { code, stdout, stderr } = await run(["bun", cli, file, "--trace"]);
  expect(stderr).toBe("");
  const calls = [...stdout.matchAll(/^ +((?:read|write|recv|send)\w*)\(\d+\) = (\d+)/gm)].map(
    ([, call, n]) => `${call} ${n}`,
  );
  expect(calls).toEqual(["write 5", "write 8", "sendmsg 7", "sendto 3", "read 5", "read 8", "recvmsg 7", "recvfrom 3"]);
  expect(stdout).not.toContain("edge-triggered"); // each was read to its end
  expect(code).toBe(0);
});

test("connect: to whom, and how it begins; the connection is known by it", async () => {
  const file = written(`
    import { Epoll, EPOLLOUT, Socket } from ${index};
    const listener = new Socket();
    listener.bind({ address: "127.0.0.1", port: 0 });
    listener.listen();
    const epoll = new Epoll();
    const client = new Socket();
    client.connect(listener.getsockname());
    epoll.register(client, EPOLLOUT);
    epoll.poll();
  `);
  const { lines } = await typedInto(["b connect", "c", "n", "l", "q"], [file, "--step"]);
  expect(lines.some((line) => /^connect\(C\) = -1 EINPROGRESS HERE$/.test(line))).toBe(true);
  expect(lines.join("\n")).toMatch(/^\(C, EPOLLOUT\) connection HERE, registered for EPOLLOUT/m);
});

test("--step: from its first call on, at the lines of its own; a client is played from the prompt", async () => {
  const commands = ["n", "connect", "n", "s", "s", 'send "hello"', "n", "s", "s", "recv", "diff", "q"];
  const { text, code } = await typedInto(commands, [echo, "--step", "--", "0"]);
  const shown = text.split("\n").map((line) => line.replace(/ {2,}(?=\S)/g, " ").trim());
  const at = (line: number): string => `> ${echo}:${line}`;
  const lineOf = (part: string): number =>
    readFileSync(echo, "utf8")
      .split("\n")
      .findIndex((line) => line.includes(part)) + 1;
  for (const [part, call] of [
    ["epoll.poll()", /^#1 epoll_wait\(EP, 1000\) = \[\]$/],
    ["epoll.poll()", /^#\d epoll_wait\(EP, 1000\) = \[\(L, EPOLLIN\)\]$/],
    ["listener.accept()", /^accept4\(L\) = C HERE$/],
    ["epoll.register(socket", /^epoll_ctl\(EP, ADD, C, EPOLLIN\)$/],
    ["epoll.poll()", /^#\d epoll_wait\(EP, 1000\) = \[\(\w+, EPOLLIN\)\]$/],
    ["client.socket.recv(4096)", /^recv\(C\) = 5$/],
    ["client.socket.send(data)", /^send\(C\) = 5$/],
  ] as const) {
    const i = shown.findIndex((line) => call.test(line));
    expect([call.source, shown[i - 1]]).toEqual([call.source, at(lineOf(part))]);
  }
  expect(text).toContain('c1 received 5 bytes: "hello"');
  expect(text).toContain("no differences: 2 fds are registered");
  expect(code).toBe(0);
});

test("--step of a program that ends: the end is said, and what it did can be looked at", async () => {
  const { text, code } = await typedInto(
    ["n", "c", "back", "n", "q"],
    [written(`${SHORT} process.exit(3);`), "--step"],
  );
  expect(text).toContain("The program has ended.\n");
  expect(text).toContain("*** nothing to continue: the program has ended");
  expect(code).toBe(0);
});

test("--inspect: it stands still until the page lets it go, shows its lines, and stays when it has ended", async () => {
  const file = written(SHORT);
  const program = start(["bun", cli, file, "--inspect"]);
  await program.output(/program\d+\.ts stands still: go on in the page; stop with Ctrl-C/);
  const [, page = "", token = ""] = await program.output(/^and control it at (\S+)#([\da-f]{32})$/m);
  const order = { kind: "go", mode: { kind: "continue" } };
  const headers = { Authorization: `Bearer ${token}` };
  for await (const message of messages(page)) {
    const state = message.kind === "hello" ? message.state : message;
    if (state.kind !== "state") continue;
    if (state.run === "stopped") await fetch(`${page}orders`, { method: "POST", headers, body: JSON.stringify(order) });
    if (state.run === "ended") break;
  }
  const source = (at: string): Promise<Response> => fetch(`${page}source?at=${encodeURIComponent(at)}`);
  expect(await (await source(`${file}:3`)).json()).toMatchObject({ line: 3, first: 1 });
  expect((await source(`${echo}:3`)).status).toBe(404);
  program.kill("SIGINT");
  expect(await program.exited).toBe(130);
  expect(program.stderr).toBe("");
});

test.each([
  [["--port", "1", "--trace"], "--port has nothing to say to it"],
  [["--workers", "2"], "--workers has nothing to say to it"],
  [[], "has nothing to serve: export default { fetch(request)"],
])("%j with a program: exit 2, and why", async (flags, says) => {
  const { code, stderr } = await run(["bun", cli, written(SHORT), ...flags]);
  expect(stderr).toContain(says);
  expect(code).toBe(2);
});

test("-- without a program: exit 2", async () => {
  const { code, stderr } = await run(["bun", cli, "--port", "0", "--", "x"]);
  expect(stderr).toContain("what follows -- is for a program: epoll-hello --trace program.ts -- 8801");
  expect(code).toBe(2);
});
