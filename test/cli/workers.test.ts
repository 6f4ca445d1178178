// epoll-hello --workers: processes that share an address, restarted after a crash, and stopped together.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { Load } from "../support/load.ts";
import { cli, endPrograms, root, run, start } from "../support/programs.ts";
import { isAlive, startWorkers, waitUntil, workersOf } from "../support/workers.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const DEFAULT_BODY = "Hello from Epoll server!";
const BALANCES = ["shared", "reuseport"] as const;
const at = (port: number) => ({ address: "127.0.0.1", port, family: "IPv4" }) as const;
const over = (port: number) => ({ hostname: "127.0.0.1", port });

async function inFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  try {
    await act(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const balance of BALANCES) {
  test(`${balance}: all workers serve, and their totals match those of the clients`, async () => {
    const { program, port, report, pids } = await startWorkers(3, "--balance", balance);
    expect(program.stdout).toContain(`with 3 workers (pid ${program.pid}); stop with Ctrl-C\n`);
    const load = new Load(over(port), { kept: 2, fresh: 6 });
    await waitUntil(async () => {
      const rows = (await report()).filter((row) => row["state"] === "serving");
      return rows.length === 3 && rows.every((row) => Number(row["requests"]) > 0);
    });
    const tally = await load.stop();
    expect(tally).toEqual({ answered: tally.answered, refused: 0, lost: 0 });
    const rows = await report();
    expect(
      rows
        .slice(0, 3)
        .map(({ pid }) => Number(pid))
        .sort(),
    ).toEqual(pids().sort());
    expect(rows.at(-1)).toMatchObject({ accepted: String(load.connections), requests: String(tally.answered) });
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(program.stdout).toEndWith(`served ${tally.answered} requests on ${load.connections} connections\n`);
    expect(program.stdout.match(/ {2}GET \/(true|false) HTTP\/1\.1 {2}200\n/g)?.length).toBe(tally.answered);
    expect(program.stderr).toBe("");
  });

  test(`${balance}: a rolling restart under load refuses no connection and loses no request`, async () => {
    const { program, port, pids, report } = await startWorkers(2, "--balance", balance);
    const before = pids();
    const load = new Load(over(port), { kept: 8, fresh: 4 });
    await load.more(200);
    for (let i = 0; i < 3; i++) program.kill("SIGHUP");
    await waitUntil(() => pids().length === 2 && pids().every((pid) => !before.includes(pid)));
    await load.more(200);
    const tally = await load.stop();
    expect(tally).toEqual({ answered: tally.answered, refused: 0, lost: 0 });
    expect((await report()).at(-1)).toMatchObject({
      accepted: String(load.connections),
      requests: String(tally.answered),
    });
    expect(program.stderr).toBe("");
  });

  test(`${balance}: a worker that is killed is restarted, and no connection is refused meanwhile`, async () => {
    const { program, port, pids } = await startWorkers(2, "--balance", balance);
    const before = pids();
    const load = new Load(over(port), { kept: 0, fresh: 4 });
    await load.more(100);
    process.kill(before[0] as number, "SIGKILL");
    await waitUntil(() => /worker \d \(pid \d+\) was killed by SIGKILL; restarting in 100 ms/.test(program.stderr));
    await waitUntil(() => pids().length === 2 && !pids().includes(before[0] as number));
    await load.more(500);
    const { refused, lost } = await load.stop();
    expect(refused).toBe(0);
    expect(lost).toBeLessThanOrEqual(4); // the open connections of the killed worker
    expect(pids()).toContain(before[1] as number);
  });
}

test("workers exit when the supervisor is killed, and the port is free again", async () => {
  const { program, port, pids } = await startWorkers(2);
  const workers = pids();
  using client = new Client(at(port), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(client.readResponse().body).toBe(DEFAULT_BODY);
  program.kill("SIGKILL");
  await waitUntil(() => ![program.pid, ...workers].some(isAlive));
  expect(() => new Client(at(port)).close()).toThrow("ECONNREFUSED");
});

for (const [signal, code] of [
  ["SIGTERM", 0],
  ["SIGINT", 130],
] as const) {
  test(`${signal} to all processes finishes pending requests, and exits with code ${code}`, async () => {
    const program = start(["setsid", process.execPath, cli, "--host", "127.0.0.1", "--port", "0", "--workers", "2"]);
    const { port } = await workersOf(program);
    using client = new Client(at(port), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    using other = new Client(at(port), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(other.readResponse().body).toBe(DEFAULT_BODY);
    process.kill(-program.pid, signal); // as Ctrl-C in a terminal
    expect(other.fate()).toBe("end");
    await waitUntil(() => refuses(port));
    client.send("cd");
    expect(client.readResponse()).toMatchObject({ status: 200, body: DEFAULT_BODY });
    expect(await program.exited).toBe(code);
    expect(program.stdout).toMatch(/\nserved 2 requests on \d+ connections\n$/); // the probe of refuses() may be among them
    expect(program.stderr).toBe("");
  });
}

test("a second signal closes connections with pending requests", async () => {
  const { program, port } = await startWorkers(2);
  using client = new Client(at(port), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  program.kill("SIGINT");
  await waitUntil(() => refuses(port));
  program.kill("SIGINT");
  expect(await program.exited).toBe(130);
  expect(client.fate()).toBe("reset");
});

function refuses(port: number): boolean {
  try {
    new Client(at(port)).close();
    return false;
  } catch {
    return true;
  }
}

test("--unix: workers share the path, a rolling restart loses nothing, and the file is removed at the end", () =>
  inFolder(async (folder) => {
    const unix = join(folder, "socket");
    const { program, pids } = await startWorkers(2, "--unix", unix);
    const before = pids();
    const load = new Load({ unix }, { kept: 4, fresh: 4 });
    await load.more(100);
    program.kill("SIGHUP");
    await waitUntil(() => pids().length === 2 && pids().every((pid) => !before.includes(pid)));
    const tally = await load.stop();
    expect(tally).toEqual({ answered: tally.answered, refused: 0, lost: 0 });
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(existsSync(unix)).toBe(false);
  }));

test("--classic applies to every worker", async () => {
  const { port } = await startWorkers(2, "--classic");
  const response = await fetch(`http://127.0.0.1:${port}/`);
  expect(await response.text()).toBe(DEFAULT_BODY);
  expect(response.headers.get("connection")).toBe("close");
});

test("exits with code 1 if the port is in use, even with SO_REUSEPORT on both sides", async () => {
  const { port } = await startWorkers(2);
  const { code, stderr } = await run(["bun", cli, "--host", "127.0.0.1", "--port", String(port), "--workers", "2"]);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`EADDRINUSE: address already in use 127.0.0.1:${port}`)]);
});

test("exits with code 1 and the workers' error if none of them can start", () =>
  inFolder(async (folder) => {
    const broken = join(folder, "broken.ts");
    writeFileSync(broken, "if (process.env.EPOLL_HELLO_WORKER) throw new Error('out of order')");
    const { code, stdout, stderr } = await run(["bun", "--preload", broken, cli, "--port", "0", "--workers", "2"]);
    expect(stderr).toContain("out of order");
    expect(stderr).toContain("error: no worker could start");
    expect([code, stdout]).toEqual([1, ""]);
  }));

test("names EMFILE and the limit to raise, whether no worker or only some can be started", async () => {
  const texts: string[] = [];
  // The number of fds that a process needs before it starts the first worker depends on what it inherits.
  for (let limit = 12; limit < 40 && !texts.some((text) => text.startsWith("warning: worker")); limit++) {
    const limited = ["sh", "-c", `ulimit -n ${limit}; exec "$@"`, "sh", process.execPath, cli];
    const program = start([...limited, "--host", "127.0.0.1", "--port", "0", "--workers", "4"]);
    await Promise.race([program.exited, program.errors(/restarting in/), program.output(/^listening/)]).catch(() => {});
    program.kill("SIGTERM");
    await program.exited;
    texts.push(program.stderr);
  }
  const reason =
    "could not be started: EMFILE: too many open files, [^\n]*" +
    "\\(Raise the limit of open files: ulimit -n, or LimitNOFILE= in a systemd unit\\)";
  expect(texts.filter((text) => new RegExp(`^error: no worker could start: it ${reason}\n$`).test(text))).not.toEqual(
    [],
  );
  expect(texts.at(-1)).toMatch(new RegExp(`^warning: worker \\d ${reason}; restarting in 100 ms\n`));
});

test("says why no worker could load the app", () =>
  inFolder(async (folder) => {
    const app = join(folder, "app.ts");
    writeFileSync(app, 'throw new Error("the database is down"); export default () => {};');
    const { code, stderr } = await run(["bun", cli, app, "--host", "127.0.0.1", "--port", "0", "--workers", "2"]);
    expect(stderr).toEndWith("\nerror: no worker could start: it exited with code 1: the database is down\n");
    expect(code).toBe(1);
  }));

test("socket handlers are announced as tcp:, with or without an address from the app", () =>
  inFolder(async (folder) => {
    const app = join(folder, "app.ts");
    writeFileSync(
      app,
      'export default { hostname: "127.0.0.1", port: 0, socket: { data(socket, data) { socket.write(data); } } };',
    );
    for (const flags of [[], ["--host", "127.0.0.1", "--port", "0"]]) {
      const program = start(["bun", cli, app, ...flags, "--workers", "2"]);
      await program.output(/^listening on tcp:\/\/127\.0\.0\.1:\d+ /);
      program.kill("SIGTERM");
      expect(await program.exited).toBe(0);
    }
  }));

test.each(["x", "{}", "[]", "null", '{"controlFd":3}'])("EPOLL_HELLO_WORKER=%s is refused", async (value) => {
  const { code, stderr } = await run(["bun", cli, "--port", "0"], { env: { EPOLL_HELLO_WORKER: value } });
  expect(stderr).toContain(
    "the environment variable EPOLL_HELLO_WORKER is reserved for the worker processes of --workers",
  );
  expect(stderr).toContain("unset it");
  expect(code).toBe(1);
});

test("an executable of bun build --compile starts its own workers", () =>
  inFolder(async (folder) => {
    const program = join(folder, "hello");
    expect(await run(["bun", "build", "--compile", cli, "--outfile", program])).toMatchObject({ code: 0 });
    const workers = await workersOf(start([program, "--host", "127.0.0.1", "--port", "0", "--workers", "2"]));
    expect(await (await fetch(`http://127.0.0.1:${workers.port}/`)).text()).toBe(DEFAULT_BODY);
    expect(workers.pids()).toHaveLength(2);
    workers.program.kill("SIGTERM");
    expect(await workers.program.exited).toBe(0);
  }));

test("--workers auto starts one worker per core", async () => {
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", "--workers", "auto"]);
  const { pids } = await workersOf(program);
  expect(pids()).toHaveLength(navigator.hardwareConcurrency);
});

const wrong: [flags: string[], message: RegExp, code: number][] = [
  [["--workers", "0"], /--workers must be an integer from 1 to 1024, or "auto" for one per core; received "0"/, 2],
  [["--workers", "1025"], /--workers must be .*; received "1025"/, 2],
  [["--workers", "two"], /--workers must be .*; received "two"/, 2],
  [["--workers"], /--workers requires a value \(an integer from 1 to 1024, or "auto" for one per core\)/, 2],
  [["--workers", "--quiet"], /--workers requires a value/, 2],
  [["--workers", "2", "--balance", "fair"], /--balance must be "reuseport" or "shared"; received "fair"/, 2],
  [["--balance", "shared"], /--balance requires --workers/, 2],
  [["--workers", "2", "--unix", "/x", "--balance", "reuseport"], /--balance reuseport cannot be used with --unix/, 2],
  [["--workers", "2", "--host", "203.0.113.9"], /"203\.0\.113\.9" is not an address of this machine/, 1],
  [["--workers", "2", "--fd", "77"], /file descriptor 77 is not an inherited socket \(EBADF\)/, 1],
];

for (const [flags, message, expected] of wrong) {
  test(`${flags.join(" ")} exits with code ${expected}, and says what to do`, async () => {
    const { code, stdout, stderr } = await run(["bun", cli, ...flags], { cwd: root });
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([expected, ""]);
  });
}
