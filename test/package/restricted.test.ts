// Processes that may not make memory executable or create a memfd: one sentence says what to change, in programs and the command.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { cli, endPrograms, root, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const index = JSON.stringify(join(root, "src", "index.ts"));
const program = [
  process.execPath,
  "-e",
  `import { Epoll } from ${index};
  try { new Epoll(); } catch (error) { console.log(error.constructor.name + ": " + error.message); }`,
];
const NO_JIT = "epoll-hello needs Bun's JIT, which cannot run in this process: ";
const hasStrace = Bun.which("strace") !== null;
const inject = (error: string): string[] => {
  return ["strace", "-f", "-o", "/dev/null", "-e", "trace=memfd_create", "-e", `inject=memfd_create:error=${error}`];
};

// systemd's MemoryDenyWriteExecute=yes has the same effect on Bun as a small limit of virtual memory.
const cases: [what: string, prefix: string[], message: string, canRun: boolean][] = [
  [
    "the JIT is turned off",
    ["env", "BUN_JSC_useJIT=0"],
    `${NO_JIT}unset the environment variable BUN_JSC_useJIT`,
    true,
  ],
  [
    "no memory can be executable",
    ["sh", "-c", 'ulimit -v 2000000; exec "$@"', "sh"],
    `${NO_JIT}remove MemoryDenyWriteExecute=yes from the systemd unit`,
    true,
  ],
  ["memfd_create is forbidden", inject("EPERM"), "memfd_create failed (EPERM: operation not permitted)", hasStrace],
  ["no fd is left", inject("EMFILE"), "(EMFILE: too many open files); close some files, or raise the limit", hasStrace],
];

for (const [what, prefix, message, canRun] of cases) {
  test.skipIf(!canRun)(`${what}: an Error in a program`, async () => {
    const { code, stdout } = await run([...prefix, ...program]);
    expect(stdout).toStartWith("Error: epoll-hello ");
    expect(stdout).toContain(message);
    expect(stdout.match(/\n/g)).toHaveLength(1);
    expect(code).toBe(0);
  });

  for (const flags of [[], ["--workers", "2"], ["--trace"]]) {
    test.skipIf(!canRun)(`${what}: epoll-hello ${flags.join(" ")} exits with code 1`, async () => {
      const { code, stdout, stderr } = await run([...prefix, process.execPath, cli, "--port", "0", ...flags]);
      expect(stderr).toStartWith("error: epoll-hello ");
      expect(stderr).toContain(message);
      expect(stderr.match(/\n/g)).toHaveLength(1);
      expect([code, stdout]).toEqual([1, ""]);
    });
  }
}
