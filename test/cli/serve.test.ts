// epoll-hello serves: where it says it listens, a line per request, and what it says in the end.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { cli, type Program, start, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const SENTENCE = "Hello from Epoll server!";

async function serve(...flags: string[]): Promise<{ program: Program; port: number }> {
  const program = start(["bun", cli, "--port", "0", ...flags]);
  const [, port] = await program.output(/^listening on http:\/\/\S+:(\d+) /m);
  return { program, port: Number(port) };
}

test("it answers with the document's sentence, and prints a line for each request", async () => {
  const { program, port } = await serve();
  const response = await fetch(`http://127.0.0.1:${port}/some/path?a=b`);
  expect(await response.text()).toBe(SENTENCE);
  await program.output(/^127\.0\.0\.1:\d+ {2}GET \/some\/path\?a=b HTTP\/1\.1 {2}200$/m);
});

const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));

test.skipIf(!hasIPv6)("localhost answers on 127.0.0.1 and on ::1, with one port", async () => {
  const { port } = await serve();
  for (const host of ["127.0.0.1", "[::1]", "localhost"]) {
    expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe(SENTENCE);
  }
});

test("--host listens there and nowhere else", async () => {
  const { program, port } = await serve("--host", "127.0.0.2");
  expect(program.stdout).toContain(`http://127.0.0.2:${port} (127.0.0.2:${port})`);
  expect(await (await fetch(`http://127.0.0.2:${port}/`)).text()).toBe(SENTENCE);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
});

test("--unix listens on a path, and removes it in the end", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const unix = join(directory, "server.sock");
    const program = start(["bun", cli, "--unix", unix]);
    await program.output(/^listening on unix:/m);
    expect(await (await fetch("http://localhost/", { unix })).text()).toBe(SENTENCE);
    await program.output(/^unix {2}GET \/ HTTP\/1\.1 {2}200$/m);
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(existsSync(unix)).toBe(false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("--classic closes after each reply, as the document's loop does", async () => {
  const { port } = await serve("--classic");
  const response = await fetch(`http://127.0.0.1:${port}/`);
  expect(await response.text()).toBe(SENTENCE);
  expect(response.headers.get("connection")).toBe("close");
});

test("--quiet prints nothing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const unix = join(directory, "server.sock");
    const program = start(["bun", cli, "--unix", unix, "--quiet"]);
    while (!existsSync(unix)) await Bun.sleep(1);
    // The file is there with bind, some moments before listen: try until it is heard.
    let text: string | undefined;
    while (text === undefined)
      text = await fetch("http://localhost/", { unix }).then(
        (r) => r.text(),
        () => undefined,
      );
    expect(text).toBe(SENTENCE);
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(program.stdout + program.stderr).toBe("");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 0],
] as const) {
  test(`${signal} ends it with ${code}, and it says what it served`, async () => {
    const { program, port } = await serve();
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    program.kill(signal);
    expect(await program.exited).toBe(code);
    expect(program.stdout).toEndWith("served 1 request on 1 connection\n");
    expect(program.stderr).toBe("");
  });
}

test("what a client sends cannot reach the terminal as it is", async () => {
  const { program, port } = await serve();
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  socket.write(Buffer.from("GET /\x1b[31m\x07\xff HTTP/1.1\r\n\r\n", "latin1"));
  await program.output(/GET \/\\x1b\[31m\\x07\\xff HTTP\/1\.1 {2}400\n/);
  socket.end();
});

test("repeated lines are all printed", async () => {
  const { program, port } = await serve();
  for (let i = 0; i < 20; i++) await (await fetch(`http://127.0.0.1:${port}/same`)).text();
  program.kill("SIGTERM");
  await program.exited;
  expect(program.stdout.match(/GET \/same /g)).toHaveLength(20);
});

test("into a file it prints the same", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const path = join(directory, "log");
    const program = start(["sh", "-c", 'exec "$0" "$1" --port 0 >"$2"', process.execPath, cli, path]);
    const said = (): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
    while (!said().includes("Ctrl-C")) await Bun.sleep(1);
    const [, port] = /:(\d+) \(/.exec(said()) ?? [];
    for (let i = 0; i < 3; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(said().match(/GET \/ HTTP\/1\.1 {2}200\n/g)).toHaveLength(3);
    expect(said()).toEndWith("served 3 requests on 1 connection\n");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a reader that does not read holds up nobody, and hears of what it missed", async () => {
  const pipe = [
    "sh",
    "-c",
    '"$0" "$1" --port 0 | { read line; echo "$line"; read go <"$2"; cat; }',
    process.execPath,
    cli,
  ];
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const fifo = join(directory, "go");
    await Bun.$`mkfifo ${fifo}`;
    const program = start([...pipe, fifo]);
    const [, port] = await program.output(/:(\d+) \(/);
    const target = `/${"x".repeat(190)}`;
    for (let i = 0; i < 60; i++) {
      const replies = Array.from({ length: 100 }, () => fetch(`http://127.0.0.1:${port}${target}`));
      for (const reply of await Promise.all(replies)) expect(await reply.text()).toBe(SENTENCE);
    }
    writeFileSync(fifo, "go\n");
    await program.output(/GET \/x+/);
    expect(await (await fetch(`http://127.0.0.1:${port}/last`)).text()).toBe(SENTENCE);
    const [pid] = (await Bun.$`pgrep -P ${program.pid} -f main.ts`.text()).trim().split("\n");
    process.kill(Number(pid), "SIGTERM");
    await program.exited;
    const [, leftOut] = await program.output(
      /\((\d+) lines were left out: standard output is not being read\)\n.*GET \/last /,
    );
    expect(program.stdout.match(/GET \/x/g)?.length).toBe(6000 - Number(leftOut));
    expect(program.stdout).toMatch(/\nserved 6001 requests on \d+ connections\n$/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a reader that goes away does not end the server", async () => {
  const program = start(["sh", "-c", `"$0" "$1" --port 0 | head -n 1`, process.execPath, cli]);
  const [, port] = await program.output(/:(\d+) \(/);
  for (let i = 0; i < 3; i++) {
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(SENTENCE);
  }
  const pids = await Bun.$`pgrep -P ${program.pid}`.text();
  for (const pid of pids.trim().split("\n")) process.kill(Number(pid), "SIGTERM");
  expect(await program.exited).toBe(0);
});

test("without a descriptor left it still says so, although what says it has to be read first", async () => {
  const few = 'ulimit -n 24 && exec "$0" "$@"';
  const program = start(["sh", "-c", few, process.execPath, cli, "--host", "127.0.0.1", "--port", "0"]);
  const port = Number((await program.output(/:(\d+) \(/))[1]);
  using stack = new DisposableStack();
  const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const clients = Array.from({ length: 30 }, () =>
    stack.use(new Client({ address: "127.0.0.1", port, family: "IPv4" }, get)),
  );
  await program.errors(/^ WARN {2}EMFILE: too many open files: .*ulimit -n.*\n/m);
  for (const client of clients) {
    expect(client.reply().status).toBe(200); // who came too late for one waits until others close
    client.close();
  }
});
