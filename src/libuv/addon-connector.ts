// Binds native addons that need libuv to the system's libuv, and runs its loop.

import { dirname } from "node:path";
import { nodeFs } from "../kernel/node-fs.ts";
import { bunSymbols } from "./bun-symbols.ts";
import { type ElfFile, readAddonFile } from "./elf-file.ts";
import { EmbeddedLoop } from "./embedded-loop.ts";
import { LibuvHost } from "./host.ts";
import { installHint } from "./libuv-packages.ts";
import { runProblem, v8Problem } from "./unsupported-addon.ts";
import { attachScript, preloadInWorkers } from "./worker-preload.ts";

/** A native addon that uses the real libuv. */
export interface LoadedAddon {
  /** The path of the addon. */
  readonly path: string;
  /** The libuv functions that it and its libraries use, in alphabetical order: `["uv_poll_init", …]`. */
  readonly functions: readonly string[];
}

/** The name by which the dynamic linker finds libuv, on every distribution. */
const SONAME = "libuv.so.1";
/** The directory of the files embedded by `bun build --compile`. */
const EMBEDDED = "/$bunfs/";

const addons = new Map<string, LoadedAddon>();
let host: LibuvHost | undefined;
let loop: EmbeddedLoop | undefined;

/** Opens libuv on first use. @throws {Error} if it is not installed, or the file is not libuv */
export function openLibuv(): LibuvHost {
  return (host ??= new LibuvHost(process.env["EPOLL_HELLO_LIBUV"] || SONAME));
}

/** Returns this thread's addons that use libuv, in load order. */
export function connectedAddons(): LoadedAddon[] {
  return [...addons.values()];
}

/** Returns whether an addon's handle or request keeps this thread alive. */
export function hasActiveHandles(): boolean {
  return loop?.isAlive ?? false;
}

/** Returns this thread's loop, creating it on first use. @throws {ErrnoError} EMFILE, ENFILE, ENOMEM or EAGAIN */
export function attachLoop(): EmbeddedLoop {
  if (loop !== undefined) return loop;
  const libuv = openLibuv();
  const script = attachScript();
  if (script !== undefined) libuv.setAttachScript(script);
  return (loop = new EmbeddedLoop(libuv));
}

/**
 * Loads an addon, and binds it to libuv if it needs functions that Bun lacks.
 *
 * @param path the addon's file
 * @param load loads it with Bun's `process.dlopen`
 * @throws {ElfError} if the file is not a shared object for this machine
 * @throws {Error} if libuv is not installed, or a function is missing
 */
export function loadAddon(path: string, load: () => void): void {
  const file = readAddon(path);
  if (file === undefined) return load(); // Bun reports why it cannot be read
  const problem = v8Problem(file, bunSymbols()) ?? runProblem(file);
  if (problem !== undefined) throw new Error(`${path} ${problem}`);
  const required = new Set<string>();
  const functions = [...new Set(libuvFunctions(file, required))].toSorted();
  if (bunSymbols().stubsAmong(functions).length === 0 && functions.every((name) => bunSymbols().exports(name))) load();
  else connect(path, functions, required, load);
}

function readAddon(path: string): ElfFile | undefined {
  try {
    return path.startsWith(EMBEDDED) ? readAddonFile(nodeFs().readFileSync(path), path) : readAddonFile(path);
  } catch (error) {
    if (error instanceof Error && "syscall" in error) return undefined;
    throw error;
  }
}

/**
 * Returns the libuv functions that an addon and its own libraries use. Adds those that are not weak, and so must exist, to
 * `required`.
 */
function libuvFunctions(file: ElfFile, required: Set<string>, seen: Set<string> = new Set()): string[] {
  const [imports, weak] = [file.imports, file.weakImports].map((names) =>
    names.filter((name) => name.startsWith("uv_")),
  );
  for (const name of imports ?? []) required.add(name);
  const ofLibraries = ownLibraries(file, seen).flatMap((library) => libuvFunctions(library, required, seen));
  return [...(imports ?? []), ...(weak ?? []), ...ofLibraries];
}

/** Returns the libraries shipped with an addon: those that the dynamic linker finds through `$ORIGIN`. */
function ownLibraries(file: ElfFile, seen: Set<string>): ElfFile[] {
  const directories = (file.runpath ?? "").split(":").filter((directory) => /^\$(?:ORIGIN|\{ORIGIN\})/.test(directory));
  const libraries: ElfFile[] = [];
  for (const name of directories.length > 0 ? file.needed : []) {
    for (const directory of directories) {
      const path = `${directory.replace(/^\$(?:ORIGIN|\{ORIGIN\})/, dirname(file.path))}/${name}`;
      if (seen.has(path)) break;
      const library = readLibrary(path);
      if (library === undefined) continue;
      seen.add(path);
      libraries.push(library);
      break;
    }
  }
  return libraries;
}

function readLibrary(path: string): ElfFile | undefined {
  try {
    return readAddonFile(path);
  } catch {
    return undefined; // the dynamic linker searches further, and reports a missing library
  }
}

function connect(path: string, functions: string[], required: ReadonlySet<string>, load: () => void): void {
  const libuv = openLibuv();
  const missing = functions.filter((name) => required.has(name) && !libuv.has(name));
  if (missing.length > 0) {
    const names = missing.join(", ");
    throw new Error(
      `${path} needs ${names}, which libuv ${libuv.version} (${libuv.path}) does not have. Install a newer libuv ` +
        `(${installHint()}), or set EPOLL_HELLO_LIBUV to the path of one`,
    );
  }
  const attached = attachLoop();
  preloadInWorkers();
  libuv.connect(load);
  addons.set(path, { path, functions });
  attached.wake();
}
