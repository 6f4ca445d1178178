// Native addons for tests: builds the fixtures of test/libuv with the C compiler, and runs programs under Bun and Node.js.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { findLibuv } from "../../src/libuv/find-libuv.ts";
import { root, start, type Program } from "./programs.ts";

const FIXTURES = join(root, "test", "libuv", "fixtures");
const RUN_LIMIT_MS = 55_000;
/** The module under test. */
export const libuvModule: string = join(root, "src", "libuv", "index.ts");

const compiler = Bun.which("cc") ?? Bun.which("gcc");
const node = Bun.which("node");

/** Why addons cannot be tested on this machine, or "". Pass it to `describe.skipIf`. */
export const unavailable: string = whyUnavailable();
/** Whether Node.js is installed, which shows that the expected results are right. */
export const hasNode: boolean = node !== null;

function whyUnavailable(): string {
  if (compiler === null) return "there is no C compiler";
  return findLibuv(bunSymbols().libc) === undefined ? "libuv is not installed" : "";
}

let folder: string | undefined;
let files = 0;
const built = new Map<string, string>();

/** Returns the folder for the fixtures and programs of this test process. `removeAddonFolder` removes it. */
export function addonFolder(): string {
  return (folder ??= mkdtempSync(join(tmpdir(), "epoll-hello-addons-")));
}

/** Removes the folder. Every test file that uses this module passes this function to `afterAll`. */
export function removeAddonFolder(): void {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
  built.clear();
}

/**
 * Builds a fixture once, and returns its path.
 *
 * @param name the C file without its extension
 * @param flags for the compiler
 * @param output the name of the addon
 */
export function buildAddon(name: string, flags: string[] = [], output: string = `${name}.node`): string {
  const path = join(addonFolder(), output);
  const key = [path, ...flags].join(" ");
  if (built.has(key)) return path;
  if (compiler === null) throw new Error("there is no C compiler");
  mkdirSync(join(path, ".."), { recursive: true });
  const source = join(FIXTURES, `${name}.c`);
  // Lazy binding is what most addons use; distributions differ in the default.
  const command = [
    compiler,
    "-shared",
    "-fPIC",
    "-O1",
    "-Wl,-z,lazy",
    "-o",
    path,
    source,
    "-pthread",
    "-ldl",
    ...flags,
  ];
  const { exitCode, stderr } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`cc failed: ${stderr.toString()}`);
  built.set(key, path);
  return path;
}

/** Writes a program to the folder, and returns its path. */
export function writeProgram(code: string, name: string = `program-${files++}.cjs`): string {
  const path = join(addonFolder(), name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, code);
  return path;
}

export interface Result {
  stdout: string;
  stderr: string;
  code: number;
}

type Environment = Record<string, string | undefined>;

/** The command that runs a program under Bun with the module preloaded. */
export function bunCommand(program: string): string[] {
  return ["bun", "--preload", libuvModule, program];
}

/** Runs a command until it exits, or for 55 s: the exit code is then 137. */
export async function runCommand(command: string[], env: Environment = {}): Promise<Result> {
  const program = start(command, { env: addonEnvironment(env) });
  const limit = setTimeout(() => program.kill("SIGKILL"), RUN_LIMIT_MS);
  const code = await program.exited;
  clearTimeout(limit);
  return { code, stdout: program.stdout, stderr: program.stderr };
}

/** Runs a program under Bun with the module preloaded. The variable ADDON holds the path of the fixture `addon`. */
export function runBun(program: string, env: Environment = {}): Promise<Result> {
  return runCommand(bunCommand(program), env);
}

/** Starts a program under Bun with the module preloaded. */
export function startBun(program: string, env: Environment = {}): Program {
  return start(bunCommand(program), { env: addonEnvironment(env) });
}

/** Runs a program under Node.js. */
export function runNode(program: string, env: Environment = {}): Promise<Result> {
  return runCommand([node ?? "node", program], env);
}

/** The environment of a program: the variable ADDON holds the path of the fixture `addon`. */
export function addonEnvironment(env: Environment = {}): Environment {
  return { NO_COLOR: "1", NODE_ENV: undefined, EPOLL_HELLO_LIBUV: undefined, ADDON: buildAddon("addon"), ...env };
}
