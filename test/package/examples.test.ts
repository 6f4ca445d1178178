// The examples: each runs unchanged, does what its first comment says, and is short.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_INET, AF_UNIX, Epoll, EPOLLIN, SOCK_DGRAM, Socket, watch } from "../../src/index.ts";
import { bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { findLibuv } from "../../src/libuv/find-libuv.ts";
import { eventually } from "../support/eventually.ts";
import { cli, endAfterTest, endPrograms, root, run, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const hasLibuv = findLibuv(bunSymbols().libc) !== undefined;
const withLibuv = ["bun", "--preload", "epoll-hello/libuv"];

const examples = join(root, "examples");

test("each is numbered, has at most 60 lines, and starts with the command to try", () => {
  const names = readdirSync(examples).filter((name) => name.endsWith(".ts"));
  expect(names.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b)).toEqual(names.map((_, i) => i + 1));
  for (const name of names) {
    const lines = readFileSync(join(examples, name), "utf8").trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(60);
    expect(lines[0]).toMatch(/^\/\/ (curl|nc|echo|bun) /);
  }
});

test("1-hello sends its response", async () => {
  const program = start(["bun", join(examples, "1-hello.ts"), "0"]);
  const [, url = ""] = await program.output(/listening on (\S+)/);
  expect(await (await fetch(`${url}/you`)).text()).toBe("Hello from Epoll server!");
  program.kill("SIGINT");
  await program.exited;
  expect(program.stdout).toMatch(/GET "\/you"\nstopped by SIGINT after 1 requests\n$/);
});

test("2-echo echoes more than the kernel buffers", async () => {
  const program = start(["bun", join(examples, "2-echo.ts"), "0"]);
  const [, port] = await program.output(/port: (\d+)/);
  const sent = Buffer.alloc(4_000_000, "0123456789abcdef");
  let received = 0;
  const done = Promise.withResolvers<void>();
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(port),
    socket: {
      data(_, bytes) {
        if (!sent.subarray(received, received + bytes.length).equals(bytes)) done.reject(new Error("other bytes"));
        received += bytes.length;
        if (received === sent.length) done.resolve();
      },
      drain: send,
      close: () => done.reject(new Error("closed")),
    },
  });
  let offset = 0;
  function send(): void {
    offset += client.write(sent.subarray(offset));
  }
  send();
  await done.promise;
  client.end();
});

test("3-edge-triggered reports unread bytes again only when level-triggered", async () => {
  const { code, stdout } = await run(["bun", join(examples, "3-edge-triggered.ts")]);
  expect(code).toBe(0);
  expect(stdout.match(/three bytes left: +(.*)/g)).toEqual([
    "three bytes left:   [(fd, EPOLLIN)]",
    "three bytes left:   []",
  ]);
});

test("4-unix-socket responds over a unix socket", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const unix = join(directory, "example.sock");
    const program = start(["bun", join(examples, "4-unix-socket.ts"), unix]);
    await program.output(/listening on unix:/);
    const response = await fetch("http://localhost/", { unix });
    expect(await response.json()).toEqual({ hello: "from a unix socket" });
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("5-udp echoes each datagram", async () => {
  const program = start(["bun", join(examples, "5-udp.ts"), "0"]);
  const [, port] = await program.output(/port: (\d+)/);
  const socket = new Socket(AF_INET, SOCK_DGRAM);
  const epoll = new Epoll();
  try {
    epoll.register(socket, EPOLLIN);
    for (const text of ["one", "two", ""]) {
      socket.sendto(text, { address: "127.0.0.1", port: Number(port) });
      expect(epoll.poll(10_000)).toEqual([[socket.fileno(), EPOLLIN]]);
      expect(Buffer.from(socket.recvfrom(100)?.data ?? "none").toString()).toBe(text);
    }
  } finally {
    epoll.close();
    socket.close();
  }
});

test("6-fetch responds to its routes, and to errors", async () => {
  const program = start(["bun", join(examples, "6-fetch.ts"), "0"]);
  const [, url = ""] = await program.output(/listening on (\S+)/);
  expect(await (await fetch(`${url}/hello?name=you`)).text()).toBe("Hello, you!\n");
  const post = (body: string): Promise<Response> => fetch(`${url}/echo`, { method: "POST", body });
  expect(await (await post('{"a":[1]}')).json()).toEqual({ a: [1] });
  expect((await post("{")).status).toBe(400);
  expect(await (await fetch(`${url}/me`)).text()).toBe(readFileSync(join(examples, "6-fetch.ts"), "utf8"));
  expect(await (await fetch(`${url}/stats`)).json()).toMatchObject({ requests: 5, you: { port: expect.any(Number) } });
  expect((await fetch(`${url}/none`)).status).toBe(404);
});

/** Sends each line after the response to the previous one. Returns everything received. */
async function converse(port: number, lines: string[]): Promise<string> {
  let text = "";
  const closed = Promise.withResolvers<void>();
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(socket, bytes) {
        text += String(bytes);
        const next = lines.shift();
        if (next !== undefined) socket.write(next);
      },
      end: (socket) => void socket.end(),
      close: () => closed.resolve(),
    },
  });
  await closed.promise;
  return text;
}

test("7-socket-echo echoes more than it buffers", async () => {
  const program = start(["bun", join(examples, "7-socket-echo.ts"), "0"]);
  const [, port] = await program.output(/listening on (\d+)/);
  const sent = Buffer.alloc(4_000_000, "0123456789abcdef");
  const parts: Buffer[] = [];
  let received = 0;
  let offset = 0;
  const done = Promise.withResolvers<void>();
  const send = (socket: { write: (bytes: Buffer) => number }): unknown =>
    (offset += socket.write(sent.subarray(offset)));
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: Number(port),
    socket: {
      data(_, bytes) {
        parts.push(Buffer.from(bytes));
        received += bytes.length;
        if (received >= sent.length) done.resolve();
      },
      drain: (socket) => void send(socket),
      close: () => done.reject(new Error("closed")),
    },
  });
  send(client);
  await done.promise;
  expect(Buffer.concat(parts).equals(sent)).toBe(true);
  client.end();
});

test("8-line-protocol responds line by line, and disconnects a client whose line is too long", async () => {
  const program = start(["bun", join(examples, "8-line-protocol.ts"), "0"]);
  const [, port] = await program.output(/listening on (\d+)/);
  expect(await converse(Number(port), ["set a 1 2\nget a\nwhat\n", "quit\n"])).toBe(
    "ready\n1 keys\n1 2\nerror: use get KEY, set KEY VALUE, info or quit\nbye\n",
  );
  expect(await converse(Number(port), ["x".repeat(5000)])).toBe("ready\nerror: a line has at most 1024 characters\n");
});

test.skipIf(Bun.which("python3") === null)(
  "9-serial prints lines from the device, sends typed lines, and reports when it is unplugged",
  async () => {
    const device = start([
      "python3",
      "-c",
      `
import os, pty, sys
master, slave = pty.openpty()
print(os.ttyname(slave), flush=True)
received = b""
while not received.endswith(b"\\n"): received += os.read(master, 100)
print(received, flush=True)
os.write(master, b"position 1\\r\\nposition 2\\r\\n")
os.read(master, 100)
os.close(master) # unplugged
`,
    ]);
    const [path] = await device.output(/\/dev\/\S+/);
    const child = Bun.spawn([process.execPath, join(examples, "9-serial.ts"), path], { stdin: "pipe", stdout: "pipe" });
    const lines: string[] = [];
    for await (const bytes of child.stdout) {
      lines.push(...new TextDecoder().decode(bytes).trimEnd().split("\n"));
      if (lines.length === 1) child.stdin.write("where?\n");
      if (lines.length === 3) child.stdin.write("thanks\n");
      child.stdin.flush();
    }
    await device.output(/b'where\?\\r\\n'/);
    expect(lines.slice(0, 3)).toEqual([`listening to ${path}`, `${path}: position 1`, `${path}: position 2`]);
    expect(lines.slice(3)).toEqual([expect.stringMatching(/^unplugged: .*EPOLLHUP/)]);
    expect(await child.exited).toBe(1);
  },
);

test("10-inotify prints what happens in a directory", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const program = start(["bun", join(examples, "10-inotify.ts"), folder]);
    await program.output(/watching/);
    writeFileSync(join(folder, "a"), "x");
    renameSync(join(folder, "a"), join(folder, "b"));
    rmSync(join(folder, "b"));
    await program.output(/IN_DELETE b/);
    expect(program.stdout.replaceAll(/#\d+/g, "#n").split("\n").slice(1, -1)).toEqual([
      "IN_CREATE a",
      "IN_CLOSE_WRITE a",
      "IN_MOVED_FROM a (#n)",
      "IN_MOVED_TO b (#n)",
      "IN_DELETE b",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("11-metronome counts its beats and exits", async () => {
  const { code, stdout } = await run(["bun", join(examples, "11-metronome.ts"), "6000", "8"]);
  expect(code).toBe(0);
  let last = 0;
  for (const line of stdout.trimEnd().split("\n")) {
    const [, sound, beat, missed = "0"] = /^(TICK|tock) (\d+)(?:, (\d+) missed)?$/.exec(line) ?? [line];
    last += 1 + Number(missed); // on a busy machine it is late, and reports the missed beats
    expect([sound, Number(beat)]).toEqual([last % 4 === 1 ? "TICK" : "tock", last]);
  }
  expect(last).toBeGreaterThanOrEqual(8);
});

test("12-chat announces members that join and leave, and forwards lines", async () => {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const path = join(folder, "chat.sock");
    const program = start(["bun", join(examples, "12-chat.ts"), path]);
    await program.output(/listening/);
    const me = `user ${process.getuid?.()}, process ${process.pid}`;
    const [one, two] = [new Socket(AF_UNIX), new Socket(AF_UNIX)];
    let received = "";
    const receive = async (line: string): Promise<void> => {
      const signal = AbortSignal.timeout(20_000);
      while (!received.includes(line)) {
        for await (const _ of watch(one, EPOLLIN, { signal })) {
          received += Buffer.from(one.recv(4096) ?? []).toString();
          break;
        }
        expect(signal.aborted).toBe(false);
      }
    };
    one.connect({ path });
    await receive(`* ${me} joined\n`);
    received = "";
    two.connect({ path });
    await receive(`* ${me} joined\n`);
    two.send("good morning\n");
    await receive(`${me}: good morning\n`);
    two.close();
    await receive(`* ${me} left\n`);
    one.close();
    program.kill("SIGINT");
    expect(await program.exited).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("19-websocket-chat announces members, forwards messages, and says goodbye when it stops", async () => {
  const program = start(["bun", join(examples, "19-websocket-chat.ts"), "0"]);
  const [, port] = await program.output(/listening on http:\/\/127.0.0.1:(\d+)/);
  expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(426);
  const received: string[] = [];
  const members = await Promise.all(
    ["ann", "bob"].map(async (name) => {
      const member = new WebSocket(`ws://127.0.0.1:${port}/?name=${name}`);
      member.addEventListener("message", ({ data }) => received.push(`${name} < ${data}`));
      await new Promise((resolve) => member.addEventListener("open", resolve));
      return member;
    }),
  );
  await program.output(/, 2 here/);
  members[0]?.send("good morning");
  await eventually(
    () => received,
    (lines) => lines.includes("bob < ann: good morning"),
  );
  const closed = members.map((member) => new Promise((resolve) => member.addEventListener("close", resolve)));
  program.kill("SIGINT");
  for (const event of await Promise.all(closed)) expect(event).toMatchObject({ code: 1001, wasClean: true });
  expect(await program.exited).toBe(0);
});

test("13-fd-passing serves connections that one process accepted from two others in turn", async () => {
  const program = start(["bun", join(examples, "13-fd-passing.ts"), "0"]);
  const [, port] = await program.output(/port: (\d+)/);
  const responses: string[] = [];
  for (let i = 0; i < 4; i++) responses.push(await (await fetch(`http://127.0.0.1:${port}`)).text());
  expect(new Set(responses).size).toBe(2);
  expect([responses[0], responses[1]]).toEqual([responses[2], responses[3]]);
  expect(responses.join("")).not.toContain(` ${program.pid} `);
});

test("14-hono serves one app on both servers and shuts down cleanly", async () => {
  const program = start(["bun", join(examples, "14-hono.ts"), "0", "0"]);
  const [, epollServer, bunServer] = await program.output(/listening on (\S+) and (\S+)\//);
  for (const url of [epollServer, bunServer]) {
    expect(await (await fetch(`${url}/hello/you`)).text()).toBe("Hello, you!");
    expect(await (await fetch(`${url}/length`, { method: "POST", body: "abc" })).json()).toEqual({ length: 3 });
    expect(await (await fetch(`${url}/seconds`)).json()).toEqual({ seconds: expect.any(Number) });
  }
  program.kill("SIGINT");
  expect(await program.exited).toBe(0);
  expect(program.stdout).toContain("3 requests");
});

test("15-trace prints the calls of its loop and warns about the handler that blocks it", async () => {
  const { code, stdout } = await run(["bun", join(examples, "15-trace.ts")]);
  expect(stdout).toMatch(/^#1 epoll_wait\(\d+, 1000\) = \[\(\d+, EPOLLIN\), \(\d+, EPOLLIN\)\] /m);
  expect(stdout).toMatch(/^ {6}warning: .*\b\d+ ms\b.* \(slow-handler\)$/m);
  expect(code).toBe(0);
});

test("16-app is served by the command, and its errors are printed", async () => {
  const program = start(["bun", cli, join(examples, "16-app.ts"), "--host", "127.0.0.1", "--port", "0"]);
  const [, url = ""] = await program.output(/listening on (\S+)/);
  expect(await (await fetch(url)).text()).toBe(`Visit 1 of process ${program.pid}.\n`);
  expect(await (await fetch(`${url}/soon`)).text()).toStartWith("100 ms later: visit 2");
  expect(await (await fetch(`${url}/length`, { method: "POST", body: "abc" })).json()).toEqual({ length: 3 });
  expect((await fetch(`${url}/broken`)).status).toBe(500);
  await program.errors(/printed in the terminal/);
});

test.skipIf(!hasLibuv)(
  "17-serial-port talks to the device that it simulates, and exits when the port is closed",
  async () => {
    const [, ...flags] = withLibuv;
    const program = endAfterTest(
      Bun.spawn([process.execPath, ...flags, join(examples, "17-serial-port.ts")], {
        cwd: root,
        stdin: "pipe",
        stdout: "pipe",
      }),
    );
    let text = "";
    for await (const bytes of program.stdout) {
      const before = text;
      text += new TextDecoder().decode(bytes);
      const arrived = (part: string): boolean => text.includes(part) && !before.includes(part);
      if (arrived("listening to")) program.stdin.write("temperature?\n");
      if (arrived("°C")) program.stdin.end();
      program.stdin.flush();
    }
    expect(text.split("\n")).toEqual([
      expect.stringMatching(/^serialport uses 7 functions of libuv 1\.\d+\.\d+$/),
      expect.stringMatching(/^listening to \/dev\/pts\/\d+$/),
      expect.stringMatching(/^\/dev\/pts\/\d+: 2[0-2]\.\d °C$/),
      "closed",
      "",
    ]);
    expect(await program.exited).toBe(0);
  },
);

test.skipIf(!hasLibuv)("18-zeromq computes in two Workers, and exits", async () => {
  const { code, stdout, stderr } = await run([...withLibuv, join(examples, "18-zeromq.ts"), "5"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout.trimEnd().split("\n").sort()).toEqual(["1² = 1", "2² = 4", "3² = 9", "4² = 16", "5² = 25"]);
});

test.skipIf(!hasLibuv)("18-zeromq runs with --trace, which needs no preload", async () => {
  const { code, stdout } = await run(["bun", cli, join(examples, "18-zeromq.ts"), "--trace", "--", "2"]);
  expect(stdout).toMatch(/^1² = 1$/m);
  expect(code).toBe(0);
});
