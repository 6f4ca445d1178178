// Errors and warnings on standard error.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { endPrograms, root, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const logger = JSON.stringify(join(root, "src/tools/cli/logger.ts"));

const stderrOf = async (script: string, env: Record<string, string> = {}): Promise<string> =>
  (await run(["bun", "-e", script], { env })).stderr;

test("prints each message on a line, also repeated ones, and a hint on the next", async () => {
  const script = `
    import { logError, logWarning } from ${logger};
    for (let i = 0; i < 10; i++) logWarning("100%d of it");
    logError("it failed\\nTry again.");
  `;
  expect(await stderrOf(script)).toBe(`${"warning: 100%d of it\n".repeat(10)}error: it failed\nTry again.\n`);
});

test("prints warnings whatever the level that consola's own variable and NODE_ENV set", async () => {
  const script = `import { logWarning } from ${logger}; logWarning("a");`;
  expect(await stderrOf(script, { CONSOLA_LEVEL: "0", NODE_ENV: "test", CI: "1" })).toBe("warning: a\n");
});

test("prints without consola if no fd is left to load it, and with it later", async () => {
  const script = `
    import { closeSync, openSync } from "node:fs";
    import { logError } from ${logger};
    const fds = [];
    try {
      for (;;) fds.push(openSync("/dev/null"));
    } catch {}
    logError("first");
    for (const fd of fds) closeSync(fd);
    logError("second");
    process.stdout.write(String(Object.keys(require.cache).some((file) => file.includes("consola"))));
  `;
  const command = 'ulimit -n 64 && exec "$0" "$@"';
  const { stdout, stderr } = await run(["sh", "-c", command, process.execPath, "-e", script]);
  expect(stderr).toBe("error: first\nerror: second\n");
  expect(stdout).toBe("true");
});
