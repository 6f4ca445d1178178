// The documentation: its links resolve, its code blocks run as pasted, and print the output that is shown.
//
//   UPDATE_DOCS=1 bun test test/package/docs.test.ts      replaces the shown output with the printed output
//
// The `ts` blocks of a page are type-checked and run, each as its own module. A block that begins with `// name.ts` is also
// saved under that name for the following blocks. Programs that listen are ended with SIGINT. The commands in `sh` blocks are run,
// and those in `console` blocks, after `$`, whose output is also compared. Comments before a block control the test:
//
//   <!-- test: skip REASON -->     do not run it
//   <!-- test: try COMMAND -->     run a command while it listens
//   <!-- test: needs libuv -->     do not run it where libuv is not installed
//   <!-- output -->                the block is the output of the one before

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { EpollServer } from "../../src/index.ts";
import { bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { findLibuv } from "../../src/libuv/find-libuv.ts";
import { resolveOptions } from "../../src/server/resolve-options.ts";
import { linkPackage } from "../support/link-package.ts";
import { type CodeBlock, codeBlocks, headingAnchors, linkTargets } from "../support/markdown.ts";
import { cli, root } from "../support/programs.ts";
import { killShells, type Outcome, runShell } from "../support/shell.ts";
import { normalizeOutput } from "../support/shown-output.ts";

setDefaultTimeout(60_000);

const updates = process.env["UPDATE_DOCS"] === "1";
const DEFAULT_PORT = 8800;
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...new Bun.Glob("{docs,examples}/**/*.md").scanSync(root),
].sort();
const read = (page: string): string => readFileSync(join(root, page), "utf8");
const isGenerated = (page: string): boolean => page.startsWith("docs/api/");

let directory: string;
let bin: string; // bunx, epoll-hello and bun, as the commands shown find them

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "epoll-hello-docs-"));
  bin = join(directory, "bin");
  mkdirSync(bin);
  script(join(bin, "epoll-hello"), `exec ${process.execPath} ${cli} "$@"`);
  script(join(bin, "bunx"), `shift; exec ${process.execPath} ${cli} "$@"`);
  symlinkSync(process.execPath, join(bin, "bun"));
  const modules = join(directory, "node_modules");
  mkdirSync(join(modules, ".bin"), { recursive: true });
  linkPackage(modules);
  symlinkSync(join(bin, "epoll-hello"), join(modules, ".bin", "epoll-hello"));
  for (const name of ["bun-types", "@types", "hono", "undici", "serialport", "@serialport", "zeromq"]) {
    if (existsSync(join(root, "node_modules", name)))
      symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
});

afterAll(() => {
  killShells();
  rmSync(directory, { recursive: true });
});

function script(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

// ---- links ----

test("every relative link resolves, and so does its anchor", () => {
  const broken: string[] = [];
  for (const page of pages) {
    for (const target of linkTargets(read(page))) {
      if (/^(https?:|mailto:)/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : relative(root, resolve(root, dirname(page), decodeURI(path)));
      if (!existsSync(join(root, file))) {
        broken.push(`${page}: ${target}`);
      } else if (anchor !== undefined && file.endsWith(".md") && !headingAnchors(read(file)).has(anchor)) {
        broken.push(`${page}: ${target}`);
      }
    }
  }
  expect(broken).toEqual([]);
});

test("README's links resolve inside the published package", () => {
  const published = [...packageJson.files, "README.md", "README.zh-CN.md", "LICENSE", "package.json"];
  const outside = linkTargets(read("README.md"))
    .filter((target) => !/^(https?:|#)/.test(target))
    .filter((target) => !published.some((name) => target === name || target.startsWith(`${name}/`)));
  expect(outside).toEqual([]);
});

test("README stays short, and has the two commands", () => {
  const lines = read("README.md").trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(250);
  expect(lines).toContain("npm install && npm start");
  expect(lines).toContain("npm install && npm test");
});

// ---- tables ----

test("docs/server.md lists every option, with its default", () => {
  const [, section = ""] = read("docs/server.md").split(/^## (?=Options|Limits)/m);
  const rows = new Map(
    [...section.matchAll(/^\| `(\w+)` +\| ([^|]*?) +\|/gm)].map(([, name = "", value = ""]) => [name, value]),
  );
  const { maxBufferedBytes, ...defaults } = resolveOptions({});
  expect(rows.get("maxBufferedBytes")).toBe("¼ of memory");
  expect(maxBufferedBytes).toBeGreaterThan(0);
  expect(Object.keys(defaults).filter((name) => !rows.has(name))).toEqual([]);
  for (const [name, value] of Object.entries(defaults)) {
    if (typeof value === "number" && value !== Infinity) expect([name, rows.get(name)]).toEqual([name, `\`${value}\``]);
    if (typeof value === "boolean") expect([name, rows.get(name)]).toEqual([name, `\`${value}\``]);
  }
});

test("docs/server.md lists every reason for a rejection, and every counter", () => {
  const text = read("docs/server.md");
  const server = new EpollServer();
  const { stats } = server;
  void server.stop();
  const names = [...Object.keys(stats.rejectedBy), ...Object.keys(stats)];
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

test("docs/command.md lists every flag", async () => {
  const text = read("docs/command.md");
  for (const command of [[], ["why"], ["replay"], ["lesson"]]) {
    const { stdout } = Bun.spawnSync([process.execPath, cli, ...command, "--help"], { cwd: root });
    const flags = [...String(stdout).matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)].map(([, flag = ""]) => flag);
    expect(flags.length).toBeGreaterThan(0);
    expect(flags.filter((flag) => !text.includes(`\`${flag}`))).toEqual([]);
  }
});

test("examples/README.md lists every example", () => {
  const text = read("examples/README.md");
  const examples = readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"));
  expect(examples.filter((name) => !text.includes(`(${name})`))).toEqual([]);
});

// ---- code ----

/** Returns the folder in which a page's blocks are saved and run. */
function folderOf(page: string): string {
  const folder = join(directory, page.replaceAll("/", "-").replace(/\.md$/, ""));
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, "examples"))) symlinkSync(join(root, "examples"), join(folder, "examples"));
  if (!existsSync(join(folder, "node_modules")))
    symlinkSync(join(directory, "node_modules"), join(folder, "node_modules"));
  return folder;
}

function fileOf(page: string, block: CodeBlock): string {
  const [, name = `line-${block.start}.ts`] = /^\/\/ ([\w-]+\.ts)\n/.exec(block.code) ?? [];
  return join(folderOf(page), name);
}

const skips = (block: CodeBlock): boolean => block.annotations.some((annotation) => annotation.startsWith("skip"));
const hasLibuv = findLibuv(bunSymbols().libc) !== undefined;
const cannotRun = (block: CodeBlock): boolean => block.annotations.includes("needs libuv") && !hasLibuv;

test("every ts block passes the type checker", async () => {
  const files: string[] = [];
  for (const page of pages.filter((one) => !isGenerated(one))) {
    for (const block of codeBlocks(read(page))) {
      if (block.language !== "ts" || skips(block)) continue;
      writeFileSync(fileOf(page, block), `${block.code}\n`);
      files.push(fileOf(page, block));
    }
  }
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      paths: {
        "epoll-hello": [join(root, "src", "index.ts")],
        "epoll-hello/libuv": [join(root, "src", "libuv", "index.ts")],
        "epoll-hello/npm-epoll": [join(root, "src", "npm-epoll", "index.ts")],
      },
      noUnusedLocals: false,
      noUnusedParameters: false,
      isolatedDeclarations: false,
      declaration: false,
    },
    include: [],
    files: [...files, join(root, "src", "kernel", "c-source.d.ts")],
  };
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { stdout, exitCode } = Bun.spawnSync([process.execPath, tsc, "-p", directory], { cwd: directory });
  expect(String(stdout)).toBe("");
  expect(exitCode).toBe(0);
});

/** Runs a block on a free port instead of the one that it names. */
async function runModule(page: string, block: CodeBlock): Promise<Outcome & { declaredPort: number }> {
  const declaredPort = Number(/\bport: (\d{4})\b/.exec(block.code)?.[1] ?? DEFAULT_PORT);
  const file = fileOf(page, block);
  writeFileSync(file, `${block.code.replace(/\bport: \d{4}\b/g, "port: 0")}\n`);
  const attempts = attemptsOf(block);
  return { ...(await runShell(`exec bun ${file}`, folderOf(page), { attempts, declaredPort, bin })), declaredPort };
}

function attemptsOf({ annotations }: CodeBlock): string[] {
  return annotations.filter((one) => one.startsWith("try ")).map((one) => one.slice(4));
}

/** Commands that are not run, because they install something or take long. The files and scripts that they name must exist. */
const notRun =
  /^(?:npm|bun (?:--preload|install|add|test|run|bench\/|docs\/)|bash \.ci|sudo|apt-get|systemctl|docker|[A-Z_]+=\S+ bun|\()/;

function assertNamesExist(command: string): void {
  for (const [, path = ""] of command.matchAll(
    /(?:^|\s)((?:bench|test|docs|examples|\.ci)\/[\w./-]+|(?:bench|test|docs)\b)/g,
  )) {
    if (!path.includes("/") || existsSync(join(root, path))) continue;
    throw new Error(`${command}: there is no ${path}`);
  }
  for (const [, name = ""] of command.matchAll(/\b(?:npm|bun) run ([\w:-]+)/g)) {
    if (!(name in packageJson.scripts)) throw new Error(`${command}: there is no script ${name}`);
  }
}

/** Returns the command with a free port instead of the one that it names. */
function onFreePort(line: string, folder: string): string {
  const command = line.replace(/^bun start\b/, "epoll-hello"); // the same in a clone of the repository
  if (!/^(?:bunx )?epoll-hello\b/.test(command)) return command;
  const [, first = ""] = /epoll-hello(?: ([^-\s]\S*))?/.exec(command) ?? [];
  const isProgram = first.endsWith(".ts") && !/export default/.test(readFileSync(join(folder, first), "utf8"));
  if (isProgram) return command.replace(/ -- \d+$/, " -- 0");
  if (/^(?:why|replay|lesson)$/.test(first) || /--(?:help|version|unix|fd|systemd)\b/.test(command)) return command;
  return command.includes("--port")
    ? command.replace(/--port \d+/, "--port 0")
    : command.replace(/( #.*)?$/, " --port 0$1");
}

interface Edit {
  start: number;
  end: number;
  lines: string[];
}

function compare(
  edits: Edit[],
  where: string,
  shown: string[],
  start: number,
  { stdout, port }: Outcome,
  declared: number,
): void {
  const cut = isCut(shown);
  const expected = normalizeOutput((cut ? shown.slice(0, -1) : shown).join("\n")).split("\n");
  const printed = normalizeOutput(stdout).split("\n");
  const actual = cut ? printed.slice(0, expected.length) : printed;
  if (Bun.deepEquals(actual, expected)) return;
  if (!updates) expect([where, ...actual]).toEqual([where, ...expected]);
  const text = stdout
    .replaceAll(`:${port}`, `:${declared}`)
    .replaceAll(`port: ${port}`, `port: ${declared}`)
    .replaceAll(/(?<![\w.])\/\S*?\/(?=examples\/|[\w-]+\.ts\b)/g, "/home/you/");
  const lines = text.trimEnd().split("\n");
  edits.push({
    start,
    end: start + shown.length,
    lines: cut ? [...lines.slice(0, shown.length - 1), "..."] : lines,
  });
}

// The blocks of the Chinese README are those of README.md: translation.test.ts compares them.
for (const page of pages.filter((one) => !isGenerated(one) && one !== "README.zh-CN.md")) {
  const text = read(page);
  const blocks = codeBlocks(text);
  if (!blocks.some((block) => /^(ts|sh|console|json)$/.test(block.language) && !skips(block))) continue;

  test.concurrent(`${page}: every block runs as pasted and prints what is shown`, async () => {
    const folder = folderOf(page);
    const edits: Edit[] = [];
    for (const [i, block] of blocks.entries()) {
      if (skips(block) || cannotRun(block) || block.isOutput) continue;
      const where = `${page}:${block.start}`;
      if (block.language === "json") JSON.parse(block.code);
      if (block.language === "ts") {
        if (/^export default/m.test(block.code)) {
          writeFileSync(fileOf(page, block), `${block.code}\n`);
          continue;
        }
        const outcome = await runModule(page, block);
        if (outcome.stderr !== "" || ![0, 130].includes(outcome.code))
          throw new Error(`${where}: ${Bun.inspect(outcome)}`);
        const next = blocks[i + 1];
        if (next?.isOutput) compare(edits, where, next.code.split("\n"), next.start, outcome, outcome.declaredPort);
      }
      if (block.language === "sh") await runCommands(where, block, folder);
      if (block.language === "console") await runConsole(edits, where, block, folder);
    }
    if (edits.length === 0) return;
    const lines = text.split("\n");
    for (const { start, end, lines: replacement } of edits.toReversed())
      lines.splice(start, end - start, ...replacement);
    writeFileSync(join(root, page), lines.join("\n"));
  });
}

/** Whether the rest of the output isn't shown: the last line is `...`. */
function isCut(shown: string[]): boolean {
  return shown.length > 1 && shown.at(-1) === "...";
}

async function runCommands(where: string, block: CodeBlock, folder: string): Promise<void> {
  for (const line of block.code.replaceAll("\\\n", "").split("\n")) {
    const command = line.replace(/(^|\s+)#.*$/, "").trim();
    if (command === "") continue;
    if (notRun.test(command)) {
      assertNamesExist(command);
      continue;
    }
    const outcome = await runShell(onFreePort(command, folder), folder, { bin, attempts: attemptsOf(block) });
    if (![0, 130].includes(outcome.code)) throw new Error(`${where}: ${command}: ${Bun.inspect(outcome)}`);
  }
}

async function runConsole(edits: Edit[], where: string, block: CodeBlock, folder: string): Promise<void> {
  const lines = block.code.split("\n");
  const starts = lines.flatMap((line, i) => (line.startsWith("$ ") ? [i] : []));
  for (const [i, at] of starts.entries()) {
    const command = (lines[at] as string).slice(2);
    const shown = lines.slice(at + 1, starts[i + 1] ?? lines.length);
    const typed = shown.filter((line) => line.startsWith("(epoll) ")).map((line) => `${line.slice(8)}\n`);
    const declaredPort = Number(/--port (\d+)|-- (\d+)$/.exec(command)?.slice(1).find(Boolean) ?? DEFAULT_PORT);
    const outcome = await runShell(onFreePort(command, folder), folder, {
      bin,
      declaredPort,
      attempts: attemptsOf(block),
      minLines: isCut(shown) ? shown.length - 1 : 0,
      ...(typed.length > 0 ? { input: typed.join("") } : {}),
    });
    if (![0, 130].includes(outcome.code)) throw new Error(`${where}: ${command}: ${Bun.inspect(outcome)}`);
    compare(edits, `${where}: ${command}`, shown, block.start + at + 1, outcome, declaredPort);
  }
}
