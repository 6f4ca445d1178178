// The architecture: layers that import only from lower ones, no cycles, one file that uses the FFI, and tools apart from the library.

import { Glob } from "bun";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

/** From the bottom up: a folder imports from itself and from lower layers, never from a sibling or from a higher layer. */
const layers: string[][] = [
  ["kernel"],
  ["trace"],
  ["io"],
  ["event-loop"],
  ["libuv"],
  ["protocols"],
  ["server", "npm-epoll"],
  ["serve"],
  ["workers"],
  ["index.ts"],
  ["tools"],
];

/** The layers within tools/, which the library never imports. */
const toolLayers: string[][] = [["addons", "comparison", "debugger", "lessons"], ["inspector"], ["cli"]];

interface Import {
  file: string;
  to: string;
}

const src = join(root, "src");
const files = [...new Bun.Glob("**/*.{ts,tsx}").scanSync(src)].filter((file) => !file.endsWith(".d.ts")).sort();
const textOf = (file: string): string => readFileSync(join(src, file), "utf8");

/** All forms of imports, including type-only ones. */
const IMPORTS = [
  /^(?:import|export)\b[^;"]*?from "([^"]+)"/gm,
  /^import "([^"]+)"/gm,
  /\bimport\(\s*"([^"]+)"/g,
  /\brequire\("([^"]+)"\)/g,
  /new URL\("([^"]+)", import\.meta\.url\)/g, // a Worker's program
];

function importsOf(file: string, text: string): Import[] {
  return IMPORTS.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, to = ""]) => ({
      file,
      to: to.startsWith(".") ? normalize(join(dirname(file), to)) : to,
    })),
  );
}

const imports = files.flatMap((file) => importsOf(file, textOf(file)));
const isModule = (path: string): boolean => /\.tsx?$/.test(path);

function layerOf(path: string, order: readonly string[][], depth: number): [layer: number, folder: string] {
  const folder = path.split("/")[depth] ?? "";
  return [order.findIndex((folders) => folders.includes(folder)), folder];
}

/** Whether a module of `from` may import `to`. */
function isDownward(from: string, to: string): boolean {
  const [above, folder] = layerOf(from, layers, 0);
  const [below, other] = layerOf(to, layers, 0);
  if (folder === "tools" && other === "tools") {
    const [tool, name] = layerOf(from, toolLayers, 1);
    const [used, usedName] = layerOf(to, toolLayers, 1);
    return name === usedName || isModule(usedName) || (used >= 0 && used < tool); // a file of tools/ itself is shared
  }
  return folder === other || (below >= 0 && below < above);
}

/** Groups of modules that import each other, directly or through others (Tarjan). */
function cycles(edges: readonly Import[]): string[][] {
  const targets = Map.groupBy(edges, ({ file }) => file);
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    low.set(file, index.size - 1);
    stack.push(file);
    for (const { to } of targets.get(file) ?? []) {
      if (!index.has(to)) visit(to);
      if (stack.includes(to)) low.set(file, Math.min(low.get(file) ?? 0, low.get(to) ?? 0));
    }
    if (low.get(file) !== index.get(file)) return;
    const group = stack.splice(stack.indexOf(file));
    if (group.length > 1 || targets.get(file)?.some(({ to }) => to === file)) groups.push(group.sort());
  };
  for (const { file } of edges) if (!index.has(file)) visit(file);
  return groups;
}

test("src contains only index.ts and the folders of the layers", () => {
  expect(readdirSync(src).sort()).toEqual(layers.flat().sort());
  const tools = readdirSync(join(src, "tools")).filter((name) => !isModule(name));
  expect(tools.sort()).toEqual(toolLayers.flat().sort());
});

test("modules import only from lower layers", () => {
  const upward = imports.filter(({ file, to }) => isModule(to) && !to.startsWith("../") && !isDownward(file, to));
  expect(upward).toEqual([]);
});

test("the library never imports a tool", () => {
  const wrong = imports.filter(({ file, to }) => !file.startsWith("tools/") && to.startsWith("tools/"));
  expect(wrong).toEqual([]);
});

test("there is no import cycle, type-only imports included", () => {
  expect(cycles(imports.filter(({ to }) => isModule(to)))).toEqual([]);
});

test("these checks find every kind of import", () => {
  const text = `import type { A } from "./a.ts";
export * from "./b.tsx";
import "./c.ts";
const d = await import("./d.ts");
const e = require("e");
new Worker(new URL("./f.ts", import.meta.url).href);`;
  const seen = importsOf("io/x.ts", text).map(({ to }) => to);
  expect(seen.sort()).toEqual(["e", "io/a.ts", "io/b.tsx", "io/c.ts", "io/d.ts", "io/f.ts"]);
  expect(isDownward("io/epoll.ts", "kernel/ffi.ts")).toBe(true);
  expect(isDownward("io/epoll.ts", "server/server.ts")).toBe(false);
  expect(isDownward("server/server.ts", "npm-epoll/index.ts")).toBe(false);
  expect(isDownward("tools/debugger/session.ts", "tools/cli/main.ts")).toBe(false);
  expect(isDownward("tools/debugger/session.ts", "tools/lessons/lesson.ts")).toBe(false);
  const ring = ["a", "b", "c"].map((file, i, all) => ({ file, to: all[(i + 1) % 3] ?? "" }));
  expect(cycles([...ring, { file: "d", to: "a" }])).toEqual([["a", "b", "c"]]);
});

test("only kernel/ffi.ts uses bun:ffi, and each C file has one user", () => {
  const usersOf = (pattern: RegExp): string[] => files.filter((file) => pattern.test(textOf(file)));
  expect(usersOf(/bun:ffi"/)).toEqual(["kernel/ffi.ts"]);
  const users = usersOf(/native\/[\w-]+\.c"/);
  expect(users).toEqual([
    "kernel/ffi.ts",
    "libuv/host.ts",
    "tools/comparison/select-poll.ts",
    "trace/processes/native-tracer.ts",
  ]);
});

test("only the command and the page import packages, except for one file that imports the HTTP parser", () => {
  const packages = imports.filter(({ to }) => !isModule(to) && !/^(node:|bun:|bun$|\.\.\/)/.test(to));
  const users = packages.filter(({ file }) => !/^tools\/(cli|inspector\/client)\//.test(file));
  expect(packages.length).toBeGreaterThan(3);
  expect([...new Set(users.map(({ file }) => file))]).toEqual(["protocols/http/llhttp.ts"]);
});

test("every file begins with a line that says what it is", () => {
  const silent = files.filter((file) => {
    const text = textOf(file).replace(/^(#!.*|\/\*\* @jsxImportSource \w+ \*\/)\n/, "");
    return !/^\/\/ .{20,}[.:!?…]\n|^\/\/ .{20,},?\n\/\/ /.test(text);
  });
  expect(silent).toEqual([]);
});

test("index.ts only re-exports", () => {
  const statements = textOf("index.ts")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("//"));
  expect(statements.filter((line) => !/^(export .* from|  \w|} from)/.test(line))).toEqual(
    statements.filter((line) => /^export (type )?\{$/.test(line)),
  );
});

test("every test file sets a timeout of a minute, so that a busy machine does not cause failures", () => {
  const tests = [...new Bun.Glob("test/**/*.test.ts").scanSync(root)].filter((file) => !file.includes("node_modules"));
  const missing = tests.filter(
    (file) => !readFileSync(join(root, file), "utf8").includes("\nsetDefaultTimeout(60_000);"),
  );
  expect(missing).toEqual([]); // Bun ignores a timeout in bunfig.toml, and one set by a preloaded file after the first file
});

test("docs/architecture.md names each file of the library", () => {
  const text = readFileSync(join(root, "docs/architecture.md"), "utf8");
  const files = [...new Glob("{src,native}/**/*.{ts,c}").scanSync(root)].filter(
    (path) => !path.startsWith("src/tools/") && !path.startsWith("src/npm-epoll/"),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((path) => !text.includes(basename(path)))).toEqual([]);
});
