// --tls-cert and --tls-key: https by the command, also with an app, and with workers.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cli, endPrograms, run, start } from "../support/programs.ts";
import { ca, certificatePath, pair } from "../support/tls.ts";
import { startWorkers } from "../support/workers.ts";

setDefaultTimeout(60_000);
const directory = mkdtempSync(join(tmpdir(), "epoll-hello-tls-"));
afterEach(endPrograms);
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

const flags = ["--tls-cert", certificatePath("server.pem"), "--tls-key", certificatePath("server-key.pem")];

async function textOf(port: number): Promise<string> {
  const response = await fetch(`https://127.0.0.1:${port}/`, { keepalive: false, tls: { ca } } as RequestInit);
  return await response.text();
}

test("the default response and its log, and an orderly end by SIGTERM", async () => {
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", ...flags]);
  const [, port] = await program.output(/^listening on https:\/\/127\.0\.0\.1:(\d+) /m);
  expect(await textOf(Number(port))).toBe("Hello from Epoll server!");
  await program.output(/GET \/ HTTP\/1\.1 {2}200$/m);
  program.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("with workers: an app with tls of its own, and the flags", async () => {
  const app = join(directory, "app.ts");
  writeFileSync(
    app,
    `export default { tls: ${JSON.stringify(pair("server"))}, fetch: ({ url }) => new Response(url) };`,
  );
  const own = await startWorkers(2, app);
  expect(await textOf(own.port)).toBe(`https://127.0.0.1:${own.port}/`);
  const shared = await startWorkers(2, ...flags);
  expect(await textOf(shared.port)).toBe("Hello from Epoll server!");
  expect(shared.program.stdout).toContain("listening on https://");
});

test("mistakes are reported before anything listens", async () => {
  for (const [more, message] of [
    [["--tls-cert", certificatePath("server.pem")], "--tls-cert requires --tls-key"],
    [["--tls-key", certificatePath("server-key.pem")], "--tls-key requires --tls-cert"],
    [["--classic", ...flags], "--classic cannot be used with --tls-cert: the original program has no TLS"],
    [["--tls-cert", "/no/such.pem", ...flags.slice(2)], "tls.certFile cannot be read: ENOENT"],
    [
      [...flags.slice(0, 3), certificatePath("client-key.pem")],
      "tls.key does not belong to the certificate of localhost",
    ],
  ] as const) {
    const { code, stderr } = await run(["bun", cli, "--port", "0", ...more]);
    expect(stderr).toContain(message);
    expect(code).toBeGreaterThan(0);
  }
});
