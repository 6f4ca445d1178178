// The command for other programs: exit codes, signals, output, attaching and letting go, several processes, and totals.

import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTrace, type TraceEvent } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { cli, endPrograms, type Program, run, start } from "../support/programs.ts";
import { python } from "../support/python.ts";

setDefaultTimeout(60_000);

const directory = mkdtempSync(join(tmpdir(), "epoll-hello-process-"));
afterEach(endPrograms);
afterAll(() => rmSync(directory, { recursive: true }));

const needsPython = test.skipIf(python === undefined);

/** A server that accepts a connection, and forks a child for it. */
const FORKING = `
import os, select, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print("listening on", listener.getsockname()[1], flush=True)
poller = select.poll()
poller.register(listener, select.POLLIN)
while True:
    poller.poll(60000)
    client, _ = listener.accept()
    if os.fork() == 0:
        client.sendall(client.recv(100))
        os._exit(0)
    client.close()
`;

async function ask(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: { data: (_, bytes) => resolve(bytes.toString()), close: () => resolve("") },
  });
  socket.write("hello");
  const answer = await promise;
  socket.end();
  return answer;
}

async function portOf(program: Program): Promise<number> {
  const [, port] = await program.output(/listening on (\d+)/);
  return Number(port);
}

test("passes the exit code on, and prints the program's output apart from the trace", async () => {
  const { stdout, stderr, code } = await run([
    "bun",
    cli,
    "--trace",
    "--",
    "sh",
    "-c",
    "echo out; echo err >&2; exit 7",
  ]);
  expect(stdout).toBe("out\n");
  expect(stderr).toContain("\nerr\n");
  expect(stderr).toMatch(/^ +started: sh -c echo out; echo err >&2; exit 7$/m);
  expect(stderr).toMatch(/^ +exited with code 7$/m);
  expect(code).toBe(7);
});

test("ends by the signal that has ended the program", async () => {
  const { code, stderr } = await run(["bun", cli, "--summary", "--", "sh", "-c", "kill -TERM $$"]);
  expect(code).toBe(128 + 15);
  expect(stderr).toContain("without a wait");
});

test("passes signals on to the program", async () => {
  const script = 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
  const program = start(["bun", cli, "--trace-file", join(directory, "signals"), "--", "sh", "-c", script]);
  await program.output(/ready/);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(3);
  expect(program.stdout).toBe("ready\ngot it\n");
});

test("says in one sentence why a program cannot be traced", async () => {
  const missing = await run(["bun", cli, "--trace", "--", "no-such-command"]);
  expect([missing.code, missing.stderr]).toEqual([
    1,
    expect.stringMatching(/no-such-command" cannot be started: no such file; check the spelling and PATH\n$/),
  ]);
  const gone = await run(["bun", cli, "--step", "--pid", "4194303"]);
  expect(gone.code).toBe(1);
  expect(gone.stderr).toContain("4194303");
});

needsPython("attaches to a running server, and lets it go unharmed", async () => {
  const server = start([python ?? "", "-c", FORKING]);
  const port = await portOf(server);
  const file = join(directory, "attached");
  const tracer = start(["bun", cli, "--trace-file", file, "--pid", String(server.pid)]);
  await eventually(
    () => readFileSync(`/proc/${server.pid}/status`, "utf8"),
    (status) => !status.includes("TracerPid:\t0"),
  );
  expect(await ask(port)).toBe("hello");
  tracer.kill("SIGINT");
  await tracer.exited;
  expect(readFileSync(`/proc/${server.pid}/status`, "utf8")).toContain("TracerPid:\t0");
  expect(await ask(port)).toBe("hello");
  const events = readTrace(file);
  expect(events.some((one) => one.type === "process" && one.what === "attach")).toBe(true);
  expect(events).toContainEqual(expect.objectContaining({ type: "open", call: "inherited", kind: "listener" }));
});

needsPython("keeps the fds of a process and of its child apart", async () => {
  const file = join(directory, "forking");
  const program = start(["bun", cli, "--trace-file", file, "--", python ?? "", "-c", FORKING]);
  expect(await ask(await portOf(program))).toBe("hello");
  const events = (): TraceEvent[] => {
    const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as TraceEvent);
  };
  const all = await eventually(events, (list) => list.some((one) => one.type === "process" && one.what === "exit"));
  program.kill("SIGTERM");
  const accept = all.find((one) => one.type === "accept");
  const received = all.find((one) => one.type === "recv" && one.fd === (accept as { result: number }).result);
  const closed = all.find((one) => one.type === "close" && one.pid === accept?.pid && one.seq > (accept?.seq ?? 0));
  const fork = all.find((one) => one.type === "process" && one.what === "fork");
  expect(received?.pid).toBe((fork as { child: number }).child);
  expect(closed?.pid).toBe(accept?.pid as number);
  expect(received?.pid).not.toBe(accept?.pid as number);
  // A wait of its own kind, with what was asked for.
  const wait = all.find((one) => one.type === "wait" && one.result === 1);
  expect(wait).toMatchObject({ call: "poll", epfd: -1, timeoutMs: 60_000, events: [[3, 1]], watched: [[3, 1]] });
  await program.exited;
});

needsPython("--summary has the calls, the bytes and the waits", async () => {
  const program = start(["bun", cli, "--summary", "--no-follow", "--", python ?? "", "-c", FORKING]);
  expect(await ask(await portOf(program))).toBe("hello");
  program.kill("SIGTERM");
  expect(await program.exited).toBe(128 + 15);
  const lines = program.stderr.split("\n").map((line) => line.trim());
  expect(lines[0]).toMatch(/^% time +seconds +µs\/call +calls +errors +bytes +system call$/);
  expect(program.stderr).toMatch(/ 1 +accept4\n/);
  expect(program.stderr).toMatch(/listener 127\.0\.0\.1:\d+\n/);
  expect(program.stderr).toMatch(/waits, by the number of ready fds: .*1: 1/);
  expect(program.stderr).toMatch(/ s idle in waits \(/);
});
