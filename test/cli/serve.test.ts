// epoll-hello without a subcommand: prints its address, a line for each request, and the totals at the end.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { cli, endPrograms, type Program, start } from "../support/programs.ts";
import { waitUntil } from "../support/workers.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const DEFAULT_BODY = "Hello from Epoll server!";

async function serve(...flags: string[]): Promise<{ program: Program; port: number }> {
  const program = start(["bun", cli, "--port", "0", ...flags]);
  const [, port] = await program.output(/^listening on http:\/\/\S+:(\d+) /m);
  return { program, port: Number(port) };
}

test("sends the default response, and prints a line for each request", async () => {
  const { program, port } = await serve();
  const response = await fetch(`http://127.0.0.1:${port}/some/path?a=b`);
  expect(await response.text()).toBe(DEFAULT_BODY);
  await program.output(/^127\.0\.0\.1:\d+ {2}GET \/some\/path\?a=b HTTP\/1\.1 {2}200$/m);
});

const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));

test.skipIf(!hasIPv6)("localhost listens on 127.0.0.1 and ::1, with the same port", async () => {
  const { port } = await serve();
  for (const host of ["127.0.0.1", "[::1]", "localhost"]) {
    expect(await (await fetch(`http://${host}:${port}/`)).text()).toBe(DEFAULT_BODY);
  }
});

test("--host listens on that address only", async () => {
  const { program, port } = await serve("--host", "127.0.0.2");
  expect(program.stdout).toContain(`http://127.0.0.2:${port} (127.0.0.2:${port})`);
  expect(await (await fetch(`http://127.0.0.2:${port}/`)).text()).toBe(DEFAULT_BODY);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
});

test("--unix listens on a path, and removes the file at the end", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const unix = join(directory, "server.sock");
    const program = start(["bun", cli, "--unix", unix]);
    await program.output(/^listening on unix:/m);
    expect(await (await fetch("http://localhost/", { unix })).text()).toBe(DEFAULT_BODY);
    await program.output(/^unix {2}GET \/ HTTP\/1\.1 {2}200$/m);
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(existsSync(unix)).toBe(false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("--classic closes each connection after one response, as the original server does", async () => {
  const { port } = await serve("--classic");
  const response = await fetch(`http://127.0.0.1:${port}/`);
  expect(await response.text()).toBe(DEFAULT_BODY);
  expect(response.headers.get("connection")).toBe("close");
});

test("--quiet prints nothing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const unix = join(directory, "server.sock");
    const program = start(["bun", cli, "--unix", unix, "--quiet"]);
    // The file exists after bind(2), a moment before listen(2): connecting fails until then.
    let body = "";
    await waitUntil(
      async () => {
        body = await fetch("http://localhost/", { unix })
          .then((response) => response.text())
          .catch((error: Error) => error.message);
        return body === DEFAULT_BODY;
      },
      () => body,
    );
    expect(body).toBe(DEFAULT_BODY);
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
  test(`${signal} prints the totals, and exits with code ${code}`, async () => {
    const { program, port } = await serve();
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    program.kill(signal);
    expect(await program.exited).toBe(code);
    expect(program.stdout).toEndWith("served 1 request on 1 connection\n");
    expect(program.stderr).toBe("");
  });
}

test("escapes control characters of a request line", async () => {
  const { program, port } = await serve();
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  socket.write(Buffer.from("GET /\x1b[31m\x07\xff HTTP/1.1\r\n\r\n", "latin1"));
  await program.output(/GET \/\\x1b\[31m\\x07\\xff HTTP\/1\.1 {2}400\n/);
  socket.end();
});

test("prints every line of repeated requests", async () => {
  const { program, port } = await serve();
  for (let i = 0; i < 20; i++) await (await fetch(`http://127.0.0.1:${port}/same`)).text();
  program.kill("SIGTERM");
  await program.exited;
  expect(program.stdout.match(/GET \/same /g)).toHaveLength(20);
});

test("prints the same lines to a file", async () => {
  const directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    const path = join(directory, "log");
    const program = start(["sh", "-c", 'exec "$0" "$1" --port 0 >"$2"', process.execPath, cli, path]);
    const log = (): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
    await waitUntil(() => log().includes("Ctrl-C"), log);
    const [, port] = /:(\d+) \(/.exec(log()) ?? [];
    for (let i = 0; i < 3; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(log().match(/GET \/ HTTP\/1\.1 {2}200\n/g)).toHaveLength(3);
    expect(log()).toEndWith("served 3 requests on 1 connection\n");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a slow reader of standard output does not block the server, and dropped lines are counted", async () => {
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
      const responses = Array.from({ length: 100 }, () => fetch(`http://127.0.0.1:${port}${target}`));
      for (const response of await Promise.all(responses)) expect(await response.text()).toBe(DEFAULT_BODY);
    }
    writeFileSync(fifo, "go\n");
    await program.output(/GET \/x+/);
    expect(await (await fetch(`http://127.0.0.1:${port}/last`)).text()).toBe(DEFAULT_BODY);
    const [pid] = (await Bun.$`pgrep -P ${program.pid} -f main.ts`.text()).trim().split("\n");
    process.kill(Number(pid), "SIGTERM");
    await program.exited;
    const [, dropped] = await program.output(
      /\((\d+) lines dropped: standard output is not being read\)\n.*GET \/last /,
    );
    expect(program.stdout.match(/GET \/x/g)?.length).toBe(6000 - Number(dropped));
    expect(program.stdout).toMatch(/\nserved 6001 requests on \d+ connections\n$/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("keeps serving after the reader of standard output has gone", async () => {
  const program = start(["sh", "-c", `"$0" "$1" --port 0 | head -n 1`, process.execPath, cli]);
  const [, port] = await program.output(/:(\d+) \(/);
  for (let i = 0; i < 3; i++) {
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(DEFAULT_BODY);
  }
  const pids = await Bun.$`pgrep -P ${program.pid}`.text();
  for (const pid of pids.trim().split("\n")) process.kill(Number(pid), "SIGTERM");
  expect(await program.exited).toBe(0);
});

test("warns when no file descriptor is left, and serves the waiting clients later", async () => {
  const few = 'ulimit -n 24 && exec "$0" "$@"';
  const program = start(["sh", "-c", few, process.execPath, cli, "--host", "127.0.0.1", "--port", "0"]);
  const port = Number((await program.output(/:(\d+) \(/))[1]);
  using stack = new DisposableStack();
  const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const clients = Array.from({ length: 30 }, () =>
    stack.use(new Client({ address: "127.0.0.1", port, family: "IPv4" }, get)),
  );
  await program.errors(/^warning: EMFILE: too many open files: .*ulimit -n.*\n/m);
  for (const client of clients) {
    expect(client.readResponse().status).toBe(200); // clients beyond the limit wait until others close
    client.close();
  }
});
