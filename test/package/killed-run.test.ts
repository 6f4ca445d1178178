// A killed test run leaves no processes behind, including those of its children.

import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json";
import { endPrograms, type Program, start } from "../support/programs.ts";
import { isAlive, waitUntil } from "../support/workers.ts";

setDefaultTimeout(60_000);

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterEach(async () => {
  await endPrograms();
  rmSync(directory, { recursive: true });
});

/** Starts a run of test files that never finish, and returns the pids of its processes. */
async function startRun(command: string[], files: number): Promise<{ testRun: Program; pids: number[] }> {
  const paths = ["leaves-process.ts", "leaves-another.ts"].map((name) => `./test/support/fixtures/${name}`);
  const testRun = start([...command, ...paths.slice(0, files)], { env: { PIDS_DIRECTORY: directory } });
  const reports = (): string[] => readdirSync(directory).filter((name) => name.endsWith(".json"));
  await waitUntil(() => reports().length === files, reports);
  const pids = reports().flatMap((name) => JSON.parse(readFileSync(join(directory, name), "utf8")) as number[]);
  expect(pids).toHaveLength(3 * files);
  expect(pids.every(isAlive)).toBe(true);
  return { testRun, pids };
}

const npmTest = ["sh", "-c", `${packageJson.scripts.test} "$@"`, "sh"];

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  test.each([
    ["bun test", ["bun", "test"], 1],
    ["npm test", npmTest, 2],
  ] as [string, string[], number][])(`${signal} ends %s and every process it started`, async (_, command, files) => {
    const { testRun, pids } = await startRun(command, files);
    testRun.kill(signal);
    await waitUntil(() => !pids.some(isAlive));
    expect(await testRun.exited).toBeGreaterThan(0);
  });
}

test("a test run ends with the process that started it", async () => {
  const parent = ["sh", "-c", '"$@" & wait', "sh"];
  const { testRun, pids } = await startRun([...parent, ...npmTest], 2);
  testRun.kill("SIGKILL");
  await waitUntil(() => !pids.some(isAlive));
});
