// endPrograms leaves no process behind, whatever the programs of a failed test have started.

import { expect, setDefaultTimeout, test } from "bun:test";
import { cli, endAfterTest, endPrograms, start } from "../support/programs.ts";
import { childrenOf, isAlive, startWorkers, waitUntil } from "../support/workers.ts";
import { canTrace } from "../support/strace.ts";

setDefaultTimeout(60_000);

const launchers: Record<string, string[]> = {
  "a shell's pipeline": ["sh", "-c", '"$@" | cat', "sh"],
  "a background process": ["sh", "-c", '"$@" & wait', "sh"],
  ...(canTrace ? { strace: ["strace", "-f", "-o", "/dev/null", "-e", "trace=none"] } : {}),
};

for (const [what, launcher] of Object.entries(launchers)) {
  test(`ends ${what}`, async () => {
    const program = start([...launcher, process.execPath, cli, "--host", "127.0.0.1", "--port", "0"]);
    await program.output(/^listening/);
    const pids = [program.pid, ...childrenOf(program.pid)];
    expect(pids.length).toBeGreaterThan(1);
    await endPrograms();
    await waitUntil(() => !pids.some(isAlive));
  });
}

test("ends a supervisor with its workers, also those that are stopped", async () => {
  const { program, pids } = await startWorkers(2);
  const all = [program.pid, ...pids()];
  process.kill(all[1] as number, "SIGSTOP");
  await endPrograms();
  await waitUntil(() => !all.some(isAlive));
});

test("ends a process that a test has started by itself", async () => {
  const { pid } = endAfterTest(Bun.spawn(["sleep", "1000"]));
  await endPrograms();
  await waitUntil(() => !isAlive(pid));
});
