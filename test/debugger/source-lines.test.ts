// Which source files a saved trace may open: those of this package and of the program that it names.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findSourceFile, parsePosition, readSourceLines } from "../../src/tools/source-lines.ts";
import { root, run, cli } from "../support/programs.ts";

setDefaultTimeout(60_000);

let folder = "";
let project = "";
let program = "";
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "epoll-hello-")));
  project = join(folder, "project");
  program = join(project, "server.ts");
  mkdirSync(join(project, "lib"), { recursive: true });
  mkdirSync(join(folder, "project-b"));
  for (const file of ["project/server.ts", "project/lib/a.mjs", "project/.env", "secret.ts", "project-b/b.ts"]) {
    writeFileSync(join(folder, file), file.startsWith("project/") ? "one\r\ntwo\nthree\n" : "SECRET\n");
  }
  symlinkSync(join(folder, "secret.ts"), join(project, "link.ts"));
  symlinkSync(folder, join(project, "up"));
  symlinkSync(project, join(folder, "alias"));
  mkdirSync(join(project, "folder.ts"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("finds files below the program's directory and in this package", () => {
  expect(findSourceFile(program, program)).toBe(program);
  expect(findSourceFile(join(project, "lib/a.mjs"), program)).toBe(join(project, "lib/a.mjs"));
  expect(findSourceFile(join(folder, "alias/lib/a.mjs"), join(folder, "alias/server.ts"))).toBe(
    join(project, "lib/a.mjs"),
  );
  expect(findSourceFile("src/index.ts", undefined)).toBe(join(root, "src/index.ts"));
  expect(findSourceFile("src/index.ts", program)).toBe(join(root, "src/index.ts"));
});

test("finds nothing else", () => {
  const others = [
    "/etc/passwd",
    "../../etc/passwd",
    "package.json",
    join(folder, "secret.ts"),
    join(project, "../secret.ts"),
    join(project, "link.ts"), // a symbolic link out of the directory
    join(project, "up/secret.ts"),
    join(project, ".env"),
    join(project, "folder.ts"),
    join(project, "none.ts"),
    join(folder, "project-b/b.ts"), // begins with the same letters
    `${project}/server.ts\0.ts`,
    "",
  ];
  for (const file of others) {
    expect({ file, found: findSourceFile(file, program) }).toEqual({ file, found: undefined });
    expect(findSourceFile(file, undefined)).toBeUndefined();
  }
  expect(findSourceFile(program, undefined)).toBeUndefined();
  expect(findSourceFile(program, "server.ts")).toBeUndefined(); // a relative program names no directory
  expect(findSourceFile("/etc/hostname.ts", "/x.ts")).toBeUndefined(); // "/" would allow everything
});

test("finds the files of the package of a program that runs, but not of one that a saved trace names", () => {
  const server = join(project, "lib", "server.ts");
  expect(findSourceFile(program, server, true)).toBeUndefined(); // there is no package
  writeFileSync(join(project, "package.json"), "{}");
  expect(findSourceFile(program, server, true)).toBe(program);
  expect(findSourceFile(program, server)).toBeUndefined();
  for (const file of [join(folder, "secret.ts"), join(project, "link.ts"), join(project, "package.json")])
    expect(findSourceFile(file, server, true)).toBeUndefined();
});

test("reads the lines around a position, with either kind of line break", () => {
  expect(parsePosition(`${program}:2`)).toEqual({ file: program, line: 2 });
  expect(readSourceLines(program, 2, 1)).toEqual({ file: program, line: 2, first: 1, lines: ["one", "two", "three"] });
});

test("replay --step opens no file outside of the program that the trace names", async () => {
  const trace = join(folder, "t.jsonl");
  const wait = { type: "wait", epfd: 3, timeoutMs: 0, maxEvents: 1, result: 0, events: [], blockedUs: 1 };
  const at = [`${program}:3`, "/etc/passwd:1", `${join(folder, "secret.ts")}:1`, `${join(project, "link.ts")}:1`];
  const events = [
    { type: "begin", version: 2, pid: 1, date: "", program },
    ...at.map((position, i) => ({ ...wait, iteration: i + 1, at: position })),
  ];
  const text = events.map((event, i) => `${JSON.stringify({ seq: i + 1, us: i, iteration: 0, ...event })}\n`).join("");
  writeFileSync(trace, text);
  const script = `printf 'll\\nn\\nll\\nn\\nll\\nn\\nll\\nq\\n' | "$0" "$@"`;
  const { stdout } = await run(["sh", "-c", script, process.execPath, cli, "replay", trace, "--step"]);
  expect(stdout).toContain("   3 -> three");
  expect(stdout).not.toContain("SECRET");
  expect(stdout).not.toContain("root:");
  expect(stdout.match(/is not opened: it does not belong to the program of the trace/g)).toHaveLength(3);
});
