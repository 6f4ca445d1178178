// epoll-hello --workers: several processes in one place, that are replaced, renewed, counted, and end together.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { Load } from "../support/load.ts";
import { cli, endPrograms, root, run, start } from "../support/programs.ts";
import { isAlive, startTeam, teamOf, until } from "../support/workers.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const SENTENCE = "Hello from Epoll server!";
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
  test(`${balance}: all workers serve, and their counts are together what the clients did`, async () => {
    const { program, port, report, pids } = await startTeam(3, "--balance", balance);
    expect(program.stdout).toContain("with 3 workers; stop with Ctrl-C\n");
    const load = new Load(over(port), { kept: 2, fresh: 6 });
    await until(async () => {
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

  test(`${balance}: a renewal under load refuses nobody and loses nothing`, async () => {
    const { program, port, pids, report } = await startTeam(2, "--balance", balance);
    const before = pids();
    const load = new Load(over(port), { kept: 8, fresh: 4 });
    await load.more(200);
    for (let i = 0; i < 3; i++) program.kill("SIGHUP");
    await until(() => pids().length === 2 && pids().every((pid) => !before.includes(pid)));
    await load.more(200);
    const tally = await load.stop();
    expect(tally).toEqual({ answered: tally.answered, refused: 0, lost: 0 });
    expect((await report()).at(-1)).toMatchObject({
      accepted: String(load.connections),
      requests: String(tally.answered),
    });
    expect(program.stderr).toBe("");
  });

  test(`${balance}: a worker that is killed is replaced, and nobody is refused meanwhile`, async () => {
    const { program, port, pids } = await startTeam(2, "--balance", balance);
    const before = pids();
    const load = new Load(over(port), { kept: 0, fresh: 4 });
    await load.more(100);
    process.kill(before[0] as number, "SIGKILL");
    await until(() => /worker \d \(\d+\) was ended by SIGKILL: another takes its place in 100 ms/.test(program.stderr));
    await until(() => pids().length === 2 && !pids().includes(before[0] as number));
    await load.more(500);
    const { refused, lost } = await load.stop();
    expect(refused).toBe(0);
    expect(lost).toBeLessThanOrEqual(4); // what the dead one had in hand
    expect(pids()).toContain(before[1] as number);
  });
}

test("SIGKILL of the supervisor leaves no worker, and the port free", async () => {
  const { program, port, pids } = await startTeam(2);
  const workers = pids();
  using client = new Client(at(port), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect(client.reply().body).toBe(SENTENCE);
  program.kill("SIGKILL");
  await until(() => !workers.some(isAlive));
  expect(() => new Client(at(port))).toThrow("ECONNREFUSED");
});

for (const [signal, code] of [
  ["SIGTERM", 0],
  ["SIGINT", 130],
] as const) {
  test(`${signal}: what has begun is finished, even where all processes hear of it; exit ${code}`, async () => {
    const program = start(["setsid", process.execPath, cli, "--host", "127.0.0.1", "--port", "0", "--workers", "2"]);
    const { port } = await teamOf(program);
    using client = new Client(at(port), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    using other = new Client(at(port), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(other.reply().body).toBe(SENTENCE);
    process.kill(-program.pid, signal); // as Ctrl-C in a terminal
    expect(other.fate()).toBe("end");
    await until(() => refuses(port));
    client.send("cd");
    expect(client.reply()).toMatchObject({ status: 200, body: SENTENCE });
    expect(await program.exited).toBe(code);
    expect(program.stdout).toMatch(/\nserved 2 requests on \d+ connections\n$/); // one that only looked may be among them
    expect(program.stderr).toBe("");
  });
}

test("a second signal cuts what has begun", async () => {
  const { program, port } = await startTeam(2);
  using client = new Client(at(port), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  program.kill("SIGINT");
  await until(() => refuses(port));
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

test("--unix: they share the path, a renewal loses nothing there, and the file is removed in the end", () =>
  inFolder(async (folder) => {
    const unix = join(folder, "socket");
    const { program, pids } = await startTeam(2, "--unix", unix);
    const before = pids();
    const load = new Load({ unix }, { kept: 4, fresh: 4 });
    await load.more(100);
    program.kill("SIGHUP");
    await until(() => pids().length === 2 && pids().every((pid) => !before.includes(pid)));
    const tally = await load.stop();
    expect(tally).toEqual({ answered: tally.answered, refused: 0, lost: 0 });
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(existsSync(unix)).toBe(false);
  }));

test("--classic: each worker's loop is the document's", async () => {
  const { port } = await startTeam(2, "--classic");
  const reply = await fetch(`http://127.0.0.1:${port}/`);
  expect(await reply.text()).toBe(SENTENCE);
  expect(reply.headers.get("connection")).toBe("close");
});

test("a port that is taken is refused, also by another that shares ports", async () => {
  const { port } = await startTeam(2);
  const { code, stderr } = await run(["bun", cli, "--host", "127.0.0.1", "--port", String(port), "--workers", "2"]);
  expect([code, stderr]).toEqual([1, expect.stringContaining(`EADDRINUSE: address already in use 127.0.0.1:${port}`)]);
});

test("where no worker can serve it gives up, exit 1, with the worker's own words", () =>
  inFolder(async (folder) => {
    const broken = join(folder, "broken.ts");
    writeFileSync(broken, "if (process.env.EPOLL_HELLO_WORKER) throw new Error('out of order')");
    const { code, stdout, stderr } = await run(["bun", "--preload", broken, cli, "--port", "0", "--workers", "2"]);
    expect(stderr).toContain("out of order");
    expect(stderr).toContain("No worker could serve");
    expect([code, stdout]).toEqual([1, ""]);
  }));

test("bun build --compile: the executable starts itself", () =>
  inFolder(async (folder) => {
    const program = join(folder, "hello");
    expect(await run(["bun", "build", "--compile", cli, "--outfile", program])).toMatchObject({ code: 0 });
    const team = await teamOf(start([program, "--host", "127.0.0.1", "--port", "0", "--workers", "2"]));
    expect(await (await fetch(`http://127.0.0.1:${team.port}/`)).text()).toBe(SENTENCE);
    expect(team.pids()).toHaveLength(2);
    team.program.kill("SIGTERM");
    expect(await team.program.exited).toBe(0);
  }));

test("auto is as many as there are cores", async () => {
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", "--workers", "auto"]);
  const { pids } = await teamOf(program);
  expect(pids()).toHaveLength(navigator.hardwareConcurrency);
});

const wrong: [flags: string[], says: RegExp][] = [
  [["--workers", "0"], /--workers takes a whole number from 1 to 1024, not "0"; or auto/],
  [["--workers", "1025"], /--workers takes .* not "1025"/],
  [["--workers", "two"], /--workers takes .* not "two"/],
  [["--workers"], /--workers takes .* not nothing/],
  [["--workers", "--quiet"], /--workers needs a value/],
  [["--workers", "2", "--balance", "fair"], /--balance takes shared or reuseport, not "fair"/],
  [["--balance", "shared"], /--balance is for several processes: give --workers N, too/],
  [["--workers", "2", "--unix", "/x", "--balance", "reuseport"], /--balance reuseport does not go with --unix/],
  [["--workers", "2", "--host", "203.0.113.9"], /"203\.0\.113\.9" is not an address of this machine/],
  [["--workers", "2", "--fd", "77"], /descriptor 77 is no socket/],
];

for (const [flags, says] of wrong) {
  test(`${flags.join(" ")}: exit 2, and what to do`, async () => {
    const { code, stdout, stderr } = await run(["bun", cli, ...flags], { cwd: root });
    expect(stderr).toMatch(says);
    expect([code, stdout]).toEqual([2, ""]);
  });
}
