// epoll-hello PROGRAM: traces, steps through and inspects an unmodified program that uses Epoll and Socket.

import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getWithToken, messages } from "../support/inspected.ts";
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

function writeProgram(text: string): string {
  const file = join(folder, `program${files++}.ts`);
  writeFileSync(file, text);
  return file;
}

/** Prints the number of its events and its arguments, and exits. */
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
    .replace(/^ *warning: .*\(slow-handler\)\n/gm, "") // the machine is busy
    .replace(/\(\d+/g, "(FD")
    .replace(/= \d+$/gm, "= N")
    .replace(/ +\+\d+\.\d{3}s$/gm, "");

test("--trace prints calls, warnings and the program's own output in order", async () => {
  const { code, stdout } = await run(["bun", cli, edge, "--trace"]);
  expect(code).toBe(0);
  const [, level = "", edgy = ""] = masked(stdout).split(/^EPOLLIN(?:\|EPOLLET)?$/m);
  expect(level.split("\n").map((line) => line.trim())).toEqual([
    "",
    "send(FD) = N",
    "#1 epoll_wait(FD, 0) = [(FD, EPOLLIN)]",
    "five bytes sent:    [(fd, EPOLLIN)]",
    "recv(FD) = N",
    "two bytes read:     2",
    "#2 epoll_wait(FD, 0) = [(FD, EPOLLIN)]",
    "three bytes left:   [(fd, EPOLLIN)]",
    "send(FD) = N",
    "#3 epoll_wait(FD, 0) = [(FD, EPOLLIN)]",
    "one more sent:      [(fd, EPOLLIN)]",
    "recv(FD) = N",
    "recv(FD) = N",
    "recv(FD) = -1 EAGAIN",
    "all of them read:   4",
    "#4 epoll_wait(FD, 0) = []",
    "nothing left:       []",
    "close(FD)",
    "close(FD)",
    "close(FD)",
    "epoll_create1(EPOLL_CLOEXEC) = N",
    "epoll_ctl(FD, ADD, 9, EPOLLIN|EPOLLET)".replace("9", /ADD, (\d+), EPOLLIN\|/.exec(stdout)?.[1] ?? ""),
    "",
  ]);
  expect(edgy).toMatch(/two bytes read: +2\n#6 epoll_wait\(FD, 0\) = \[\]\n +three bytes left: +\[\]/);
  expect(stdout).not.toContain("warning:"); // it reads the rest before it waits
});

test("passes the arguments after -- to the program, and returns its exit code", async () => {
  const file = writeProgram(`${SHORT} process.exit(3);`);
  const { code, stdout } = await run(["bun", cli, file, "--trace", "--", "--one", "two"]);
  expect(stdout.replace(/\s+/g, " ")).toContain('1 [ "--one", "two" ]');
  expect(code).toBe(3);
});

test("prints an error that the program throws with its stack, and exits with code 1", async () => {
  const file = writeProgram(`${SHORT} throw new Error("no more");`);
  for (const how of ["--trace", "--step"]) {
    const { code, stderr } = await run(["sh", "-c", 'echo c | "$0" "$@"', process.execPath, cli, file, how]);
    expect(stderr).toMatch(/Error: no more\n +at .*program\d+\.ts:8/);
    expect(code).toBe(1);
  }
});

test("--trace-file saves the trace, and replay prints it", async () => {
  const file = writeProgram(SHORT);
  const trace = join(folder, "trace.jsonl");
  expect((await run(["bun", cli, file, "--trace-file", trace])).code).toBe(0);
  const { stdout } = await run(["bun", cli, "replay", trace]);
  expect(masked(stdout)).toContain("#1 epoll_wait(FD, -1) = [(FD, EPOLLIN)]\n");
});

test("reports the time between the iterations of a program on Bun's event loop as time away", async () => {
  const file = writeProgram(`
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

test("--trace includes reads and writes of pipes, eventfds, datagrams and messages", async () => {
  const file = writeProgram(`
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
  expect(stderr).toMatch(/^ *2 +13 +write$/m); // the totals
  expect(stderr).toMatch(/^ *1 +7 +recvmsg$/m);
  const calls = [...stdout.matchAll(/^ +((?:read|write|recv|send)\w*)\(\d+\) = (\d+)/gm)].map(
    ([, call, n]) => `${call} ${n}`,
  );
  expect(calls).toEqual(["write 5", "write 8", "sendmsg 7", "sendto 3", "read 5", "read 8", "recvmsg 7", "recvfrom 3"]);
  expect(stdout).not.toContain("edge-triggered"); // each was read until EAGAIN
  expect(code).toBe(0);
});

test("--step shows connect with its address, and the connection by its role", async () => {
  const file = writeProgram(`
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
  const { lines } = await typedInto(["b connect", "c", "n", "ready", "q"], [file, "--step"]);
  expect(lines.some((line) => /^connect\(C\) = -1 EINPROGRESS HERE$/.test(line))).toBe(true);
  expect(lines.join("\n")).toMatch(/^\(C, EPOLLOUT\) connection HERE, registered for EPOLLOUT/m);
});

test("--step starts at the first call, shows the program's own lines, and has test clients", async () => {
  const commands = ["connect", "n", "s", "s", 'send "hello"', "n", "s", "s", "recv", "diff", "q"];
  const { text, code } = await typedInto(commands, [echo, "--step", "--", "0"]);
  const shown = text.split("\n").map((line) => line.replace(/ {2,}(?=\S)/g, " ").trim());
  const at = (line: number): string => `> ${echo}:${line}`;
  const lineOf = (part: string): number =>
    readFileSync(echo, "utf8")
      .split("\n")
      .findIndex((line) => line.includes(part)) + 1;
  for (const [part, call] of [
    ["epoll.poll()", /^#\d epoll_wait\(EP, -1\) = \[\(L, EPOLLIN\)\]$/],
    ["listener.accept()", /^accept4\(L\) = C HERE$/],
    ["epoll.register(socket", /^epoll_ctl\(EP, ADD, C, EPOLLIN\)$/],
    ["epoll.poll()", /^#\d epoll_wait\(EP, -1\) = \[\(\w+, EPOLLIN\)\]$/],
    ["client.socket.recv(4096)", /^recv\(C\) = 5$/],
    ["client.socket.send(data)", /^send\(C\) = 5$/],
  ] as const) {
    const i = shown.findIndex((line) => call.test(line));
    expect([call.source, shown[i - 2]]).toEqual([call.source, at(lineOf(part))]);
    expect(shown[i - 1]).toContain(part);
  }
  expect(text).toContain('c1 received 5 bytes: "hello"');
  expect(text).toContain("no differences: 2 fds are registered");
  expect(code).toBe(0);
});

test("--step reports the end of the program, and its history stays available", async () => {
  const { text, code } = await typedInto(
    ["n", "c", "back", "n", "q"],
    [writeProgram(`${SHORT} process.exit(3);`), "--step"],
  );
  expect(text).toContain("The program exited with code 3.\n");
  expect(text).toContain("*** nothing to continue: the program has ended");
  expect(code).toBe(3);
});

test("--inspect-brk pauses the program at its start, shows its source, and stays after it has ended", async () => {
  const file = writeProgram(SHORT);
  const program = start(["bun", cli, file, "--inspect-brk"]);
  await program.output(/program\d+\.ts is paused at its start; stop with Ctrl-C\npaused: continue on the page$/m);
  const [, page = "", token = ""] = await program.output(/^and control it at (\S+)#([\da-f]{32})$/m);
  const command = { kind: "resume", mode: { kind: "continue" } };
  const headers = { Authorization: `Bearer ${token}` };
  for await (const message of messages(`${page}#${token}`)) {
    const state = message.kind === "hello" ? message.state : message;
    if (state.kind !== "state") continue;
    if (state.run === "paused")
      await fetch(`${page}commands`, { method: "POST", headers, body: JSON.stringify(command) });
    if (state.run === "ended") break;
  }
  const source = (at: string): Promise<Response> =>
    getWithToken(`${page}#${token}`, `source?at=${encodeURIComponent(at)}`);
  expect(await (await source(`${file}:3`)).json()).toMatchObject({ line: 3, first: 1 });
  const other = mkdtempSync(join(tmpdir(), "epoll-hello-other-"));
  writeFileSync(join(other, "secret.ts"), "");
  expect((await source(join(other, "secret.ts:1"))).status).toBe(404);
  rmSync(other, { recursive: true });
  program.kill("SIGINT");
  expect(await program.exited).toBe(130);
  expect(program.stderr).toBe("");
});

test.each([
  [["--port", "1", "--trace"], "has no default export, so it runs as a program; --port applies to servers only", 2],
  [["--workers", "2"], "has no default export, so it runs as a program; --workers applies to servers only", 2],
  [["--trace=json", "--timestamps"], "--timestamps cannot be used with --trace=json", 2],
  [[], "has no default export to serve: export default { fetch(request)", 1],
] as const)("%j with a program fails with %j and exit code %d", async (flags, message, expected) => {
  const { code, stderr } = await run(["bun", cli, writeProgram(SHORT), ...flags]);
  expect(stderr).toContain(message);
  expect(code).toBe(expected);
});

test("rejects options of the server with a command after --, with exit code 2", async () => {
  const { code, stderr } = await run(["bun", cli, "--port", "0", "--", "x"]);
  expect(stderr).toContain('--port applies to the server of epoll-hello, not to the command "x"');
  expect(code).toBe(2);
});

test("--step: diff and why keep two epoll instances apart, and accuse a correct program of nothing", async () => {
  const program = writeProgram(`
    import { Epoll, EPOLLIN, EPOLLOUT, socketpair } from ${index};
    const [first, second] = [new Epoll(), new Epoll()];
    const [a, b] = socketpair();
    first.register(a, EPOLLIN);
    second.register(b, EPOLLIN);
    second.register(a, EPOLLOUT);
    b.send("x");
    first.poll(1000);
    second.poll(1000);
    first.poll(1000);
  `);
  const { text } = await typedInto(["n", "n", "diff", "why", "q"], [program, "--step"]);
  expect(text).toContain(
    "no differences: 3 registrations with 2 epoll instances, and the kernel's interest lists are the same",
  );
  expect(text).toMatch(
    /is registered with epoll fd (?:\d+|EP) for EPOLLIN, so epoll_wait\((?:\d+|EP)\) reports EPOLLIN\./,
  );
  expect(text).toMatch(
    /is registered with epoll fd (?:\d+|EP) for EPOLLOUT, so epoll_wait\((?:\d+|EP)\) reports EPOLLOUT\./,
  );
});
