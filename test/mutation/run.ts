// The mutation check: plants each seeded fault in a copy of the repository, and verifies that the named tests fail.
//
//   bun test/mutation/run.ts [TEXT…]     only the faults whose file contains one of the texts
//
// Environment: JOBS, how many faults are checked at a time (default: the number of processors, at most 4).

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Fault, faults } from "./faults.ts";

const root = join(import.meta.dir, "..", "..");
const NEEDED = new Set(["src", "native", "test", "examples", "bin", "docs", "bench"]);
/** A fault that makes its tests hang is caught as well. */
const MAX_TEST_MS = 180_000;

type Outcome = { kind: "caught" | "hung" | "survived" | "no match"; by: string; seconds: number };

/** Copies what the tests need: the files of the working tree that git knows or would add. */
function copyRepository(): string {
  const copy = mkdtempSync(join(tmpdir(), "epoll-hello-mutation-"));
  const listed = Bun.spawnSync(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  for (const file of listed.stdout.toString().split("\0")) {
    const isNeeded = file !== "" && (NEEDED.has(file.split("/")[0] as string) || !file.includes("/"));
    if (!isNeeded) continue;
    mkdirSync(join(copy, dirname(file)), { recursive: true });
    try {
      cpSync(join(root, file), join(copy, file), { verbatimSymlinks: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // deleted in the working tree
    }
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** Runs test files in a copy until the first failure. */
async function runTests(copy: string, tests: readonly string[]): Promise<{ failed: string; hasHung: boolean }> {
  const command = [process.execPath, "test", "--bail", "--no-orphans", ...tests.map((test) => `./${test}`)];
  const child = Bun.spawn(command, { cwd: copy, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  let hasHung = false;
  const timer = setTimeout(() => {
    hasHung = true;
    child.kill("SIGKILL");
  }, MAX_TEST_MS);
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  clearTimeout(timer);
  if (code === 0) return { failed: "", hasHung };
  const name = /^\(fail\) (.*?)(?: \[[\d.]+ms\])?$/m.exec(stdout + stderr)?.[1];
  const error = /^error: (.*)$/m.exec(stderr)?.[1];
  return { failed: name ?? error ?? (hasHung ? "it hangs" : `exit code ${code}`), hasHung };
}

/** Plants a fault, runs its tests, and restores the file. */
async function check(copy: string, { file, text, replacement, tests }: Fault): Promise<Outcome> {
  const path = join(copy, file);
  const original = readFileSync(path, "utf8");
  const parts = original.split(text);
  if (parts.length !== 2) return { kind: "no match", by: `the text occurs ${parts.length - 1} times`, seconds: 0 };
  const startMs = performance.now();
  writeFileSync(path, parts.join(replacement));
  try {
    const { failed, hasHung } = await runTests(copy, tests);
    const seconds = Math.round((performance.now() - startMs) / 1000);
    if (failed === "") return { kind: "survived", by: tests.join(", "), seconds };
    return { kind: hasHung ? "hung" : "caught", by: failed, seconds };
  } finally {
    unlinkSync(path);
    writeFileSync(path, original);
  }
}

/** Verifies that the tests pass without a fault: otherwise they would catch anything. */
async function checkBaseline(copies: readonly string[], chosen: readonly Fault[]): Promise<void> {
  const tests = [...new Set(chosen.flatMap(({ tests }) => tests))].sort();
  console.log(`without a fault: running ${tests.length} test files`);
  await Promise.all(
    copies.map(async (copy) => {
      for (let test; (test = tests.pop()) !== undefined;) {
        const { failed } = await runTests(copy, [test]);
        if (failed === "") continue;
        console.log(`${test} fails without a fault: ${failed}`);
        process.exit(2);
      }
    }),
  );
}

async function main(): Promise<void> {
  const wanted = process.argv.slice(2);
  const chosen = faults.filter(({ file }) => wanted.length === 0 || wanted.some((text) => file.includes(text)));
  if (chosen.length === 0) throw new Error(`no seeded fault is in a file whose name contains ${wanted.join(" or ")}`);
  const jobs = Number(process.env["JOBS"] ?? Math.min(4, availableParallelism()));
  const copies = Array.from({ length: Math.min(jobs, chosen.length) }, copyRepository);
  const startMs = performance.now();
  const counts = { caught: 0, hung: 0, survived: 0, "no match": 0 };
  try {
    await checkBaseline(copies, chosen);
    console.log("| # | File | Fault | Result | By |\n| --: | --- | --- | --- | --- |");
    let next = 0;
    await Promise.all(
      copies.map(async (copy) => {
        for (let i; (i = next++) < chosen.length;) {
          const fault = chosen[i] as Fault;
          const { kind, by, seconds } = await check(copy, fault);
          counts[kind]++;
          const cells = [`${i + 1}/${chosen.length}`, fault.file, fault.breaks, `${kind}, ${seconds} s`, by];
          console.log(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
        }
      }),
    );
  } finally {
    for (const copy of copies) rmSync(copy, { recursive: true });
  }
  const minutes = ((performance.now() - startMs) / 60_000).toFixed(1);
  const caught = counts.caught + counts.hung;
  console.log(
    `\n${chosen.length} faults: ${caught} caught, ${counts.survived} survived, ${counts["no match"]} without a match; ${minutes} minutes`,
  );
  process.exitCode = caught === chosen.length ? 0 : 1;
}

await main();
