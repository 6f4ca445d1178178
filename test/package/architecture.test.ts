// The house keeps its shape: imports point down, one file knows the FFI, and the command's libraries stay in the command.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { root } from "../support/programs.ts";

setDefaultTimeout(60_000);

/** From the ground up: a file may import from its own floor and those before it. */
const floors: string[][] = [
  ["../native/select-poll.c", "../native/shim.c", "../package.json"],
  ["ffi.ts", "jsc.ts", "node-fs.ts", "constants.ts", "errno.ts", "clock.ts", "fd.ts"],
  ["address.ts", "ancillary.ts", "events.ts", "tcp-info.ts"],
  ["trace/"],
  ["epoll.ts", "socket.ts", "systemd.ts"],
  ["bridge.ts", "descriptors/", "why/"],
  ["watch.ts", "protocol.ts"],
  ["http/", "sockets.ts"],
  ["server/", "npm-epoll/"],
  ["workers/", "debug/", "lessons/"],
  ["page/"],
  ["index.ts"],
  ["cli/"],
];

interface Import {
  file: string;
  from: string;
}

const files = [...new Bun.Glob("**/*.ts").scanSync(join(root, "src"))].filter((file) => !file.endsWith(".d.ts")).sort();
const imports: Import[] = files.flatMap((file) =>
  [...readFileSync(join(root, "src", file), "utf8").matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)"/gm)].map(
    ([, from = ""]) => ({ file, from: from.startsWith(".") ? normalize(join(dirname(file), from)) : from }),
  ),
);

function floorOf(file: string): number {
  const floor = floors.findIndex((rooms) =>
    rooms.some((room) => file === room || (room.endsWith("/") && file.startsWith(room))),
  );
  if (floor < 0) throw new Error(`${file} is on no floor: give it one`);
  return floor;
}

test("every file has a floor, and every floor is used", () => {
  const used = new Set(
    [...files, ...imports.map(({ from }) => from).filter((from) => from.startsWith("../"))].map(floorOf),
  );
  expect(used.size).toBe(floors.length);
});

test("imports point down", () => {
  const up = imports.filter(({ file, from }) => /\.(ts|c|json)$/.test(from) && floorOf(from) > floorOf(file));
  expect(up).toEqual([]);
});

test("only ffi.ts knows bun:ffi and the shim", () => {
  const knowing = files.filter((file) => /bun:ffi"|shim\.c"/.test(readFileSync(join(root, "src", file), "utf8")));
  expect(knowing).toEqual(["ffi.ts"]);
});

test("only the command imports packages, and one file the parser's", () => {
  const packages = imports.filter(({ from }) => !from.endsWith(".ts") && !/^(node:|\.\.\/)/.test(from));
  expect(packages.length).toBeGreaterThan(0);
  expect(packages.filter(({ file }) => !file.startsWith("cli/"))).toEqual([]);
  const requiring = files.filter((file) => readFileSync(join(root, "src", file), "utf8").includes("require("));
  expect(requiring).toEqual(["cli/say.ts", "http/llhttp.ts"]);
});

test("every file says in its first line what it is", () => {
  const silent = files.filter((file) => {
    const text = readFileSync(join(root, "src", file), "utf8").replace(/^#!.*\n/, "");
    return !/^\/\/ .{20,}[.:!?]\n|^\/\/ .{20,},?\n/.test(text);
  });
  expect(silent).toEqual([]);
});

test("the index only exports", () => {
  const statements = readFileSync(join(root, "src", "index.ts"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("//"));
  expect(statements.filter((line) => !/^(export .* from|  \w|} from)/.test(line))).toEqual(
    statements.filter((line) => line === "export {"),
  );
});

test("every test file gives its tests a minute: a slow machine is no failure", () => {
  const tests = [...new Bun.Glob("test/**/*.test.ts").scanSync(root)];
  const hasty = tests.filter(
    (file) => !readFileSync(join(root, file), "utf8").includes("\nsetDefaultTimeout(60_000);"),
  );
  expect(hasty).toEqual([]); // Bun ignores a timeout in bunfig.toml, and one set by a preloaded file from the second on
});
