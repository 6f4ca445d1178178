// Processes that may not make memory executable or create a memfd: one sentence says what to change, in programs and the command.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { cli, endPrograms, root, run } from "../support/programs.ts";
import { canTrace } from "../support/strace.ts";

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
  [
    "memfd_create is forbidden",
    inject("EPERM"),
    "EPERM: operation not permitted, memfd_create: epoll-hello's C code cannot be compiled; allow memfd_create(2)",
    canTrace,
  ],
  [
    "no fd is left",
    inject("EMFILE"),
    "EMFILE: too many open files, memfd_create: epoll-hello's C code cannot be compiled; close some files",
    canTrace,
  ],
];

for (const [what, prefix, message, canRun] of cases) {
  test.skipIf(!canRun)(`${what}: an Error in a program`, async () => {
    const { code, stdout } = await run([...prefix, ...program]);
    expect(stdout).toMatch(/^(Errno)?Error: /);
    expect(stdout).toContain(message);
    expect(stdout.match(/\n/g)).toHaveLength(1);
    expect(code).toBe(0);
  });

  for (const flags of [[], ["--workers", "2"], ["--trace"]]) {
    test.skipIf(!canRun)(`${what}: epoll-hello ${flags.join(" ")} exits with code 1`, async () => {
      const { code, stdout, stderr } = await run([...prefix, process.execPath, cli, "--port", "0", ...flags]);
      expect(stderr).toStartWith("error: ");
      expect(stderr).toContain(message);
      expect(stderr.match(/\n(?!Raise)/g)).toHaveLength(1);
      expect([code, stdout]).toEqual([1, ""]);
    });
  }
}
