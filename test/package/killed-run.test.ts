// A killed test run leaves no processes behind, including those of its children.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { endPrograms, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  test(`${signal} ends a test run and every process it started`, async () => {
    const testRun = start(["bun", "test", "./test/support/fixtures/leaves-process.ts"]);
    const [, grandchild = "", child = ""] = await testRun.output(/started (\d+) (\d+)/);
    expect([grandchild, child].map((pid) => existsSync(`/proc/${pid}`))).toEqual([true, true]);
    testRun.kill(signal);
    while (existsSync(`/proc/${grandchild}`) || existsSync(`/proc/${child}`)) await Bun.sleep(10);
    expect(await testRun.exited).toBeGreaterThan(0);
  });
}
