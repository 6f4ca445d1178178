// Signals of the command: each one that stops it lets pending requests finish, and none ends it silently.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "../support/client.ts";
import { cli, endPrograms, type Program, start } from "../support/programs.ts";
import { startWorkers, waitUntil } from "../support/workers.ts";

setDefaultTimeout(60_000);

let folder = "";
afterEach(async () => {
  await endPrograms();
  if (folder !== "") rmSync(folder, { recursive: true });
  folder = "";
});

function appOf(code: string): string {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  const file = join(folder, "app.ts");
  writeFileSync(file, code);
  return file;
}

const SERVES = "export default { async fetch(request) { return new Response(await request.text()); } };";
const HALF = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab";
const at = (port: number) => ({ address: "127.0.0.1", port, family: "IPv4" }) as const;

interface Serving {
  program: Program;
  port: number;
}

async function serve(app: string[], launcher: string[] = []): Promise<Serving> {
  const program = start([...launcher, process.execPath, cli, ...app, "--host", "127.0.0.1", "--port", "0"]);
  const [, port] = await program.output(/^listening on http:\S+:(\d+) /m);
  return { program, port: Number(port) };
}

function refuses(port: number): boolean {
  try {
    new Client(at(port)).close();
    return false;
  } catch {
    return true;
  }
}

const servers: Record<string, () => Promise<Serving>> = {
  "without an app": () => serve([]),
  "with an app": () => serve([appOf(SERVES)]),
};

const stopSignals = [
  ["SIGTERM", 0],
  ["SIGINT", 130],
  ["SIGQUIT", 131],
  ["SIGHUP", 129],
] as const;

for (const [what, open] of Object.entries(servers)) {
  for (const [signal, code] of stopSignals) {
    test(`${signal} ${what}: a pending request is finished, and the exit code is ${code}`, async () => {
      const { program, port } = await open();
      using client = new Client(at(port), HALF);
      program.kill(signal);
      await waitUntil(() => refuses(port));
      client.send("cd");
      expect(client.readResponse().status).toBe(200);
      expect([await program.exited, program.stderr]).toEqual([code, ""]);
      expect(program.stdout).toMatch(/\nserved 1 request on \d+ connections?\n$/);
    });

    test(`${signal} twice ${what} closes the connections`, async () => {
      const { program, port } = await open();
      using client = new Client(at(port), HALF);
      program.kill(signal);
      await waitUntil(() => refuses(port));
      program.kill("SIGTERM");
      expect(await program.exited).toBe(code);
      expect(client.fate()).toBe("reset");
    });
  }

  test(`SIGUSR1 ${what} prints the totals`, async () => {
    const { program, port } = await open();
    using client = new Client(at(port), HALF);
    client.send("cd");
    expect(client.readResponse().status).toBe(200);
    program.kill("SIGUSR1");
    await program.output(/^served 1 request on 1 connection; 1 open\n/m);
    expect(program.stderr).toBe("");
  });

  test(`SIGUSR2 ${what} is ignored, with a warning`, async () => {
    const { program, port } = await open();
    program.kill("SIGUSR2");
    await program.errors(/^warning: SIGUSR2 has no effect; it is ignored\n/);
    expect(refuses(port)).toBe(false);
  });

  test(`nohup ${what}: SIGHUP is ignored`, async () => {
    const { program, port } = await serve(what === "with an app" ? [appOf(SERVES)] : [], [
      "sh",
      "-c",
      'trap "" HUP; exec "$@"',
      "sh",
    ]);
    program.kill("SIGHUP");
    program.kill("SIGUSR1");
    await program.output(/^served 0 requests/m); // signals are handled in the order in which they arrive
    expect(refuses(port)).toBe(false);
  });
}

test("an app may handle the signals itself, except SIGINT and SIGTERM", async () => {
  const names = ["SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
  const app = appOf(
    `for (const name of ${JSON.stringify(names)}) process.on(name, () => console.log("app " + name)); ${SERVES}`,
  );
  const { program, port } = await serve([app]);
  for (const name of names) {
    program.kill(name);
    await program.output(new RegExp(`^app ${name}\n`, "m"));
  }
  expect(refuses(port)).toBe(false);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("--workers: SIGQUIT stops gracefully with exit code 131, and SIGUSR2 is ignored with a warning", async () => {
  const { program, port } = await startWorkers(2);
  program.kill("SIGUSR2");
  await program.errors(/^warning: SIGUSR2 has no effect; it is ignored\n/);
  using client = new Client(at(port), HALF);
  program.kill("SIGQUIT");
  await waitUntil(() => refuses(port));
  client.send("cd");
  expect(client.readResponse().status).toBe(200);
  expect(await program.exited).toBe(131);
});
