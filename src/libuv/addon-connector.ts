// Binds native addons that need libuv to the system's libuv, and runs its loop.

import { nodeFs } from "../kernel/node-fs.ts";
import { type AddonNeeds, addonNeeds } from "./addon-needs.ts";
import { bunSymbols } from "./bun-symbols.ts";
import { type ElfFile, readAddonFile } from "./elf-file.ts";
import { EmbeddedLoop } from "./embedded-loop.ts";
import { LibuvHost } from "./host.ts";
import { installHint } from "./libuv-packages.ts";
import { chosenLibuv, LIBUV_VARIABLE } from "./libuv-setting.ts";
import { runProblem, v8Problem } from "./unsupported-addon.ts";
import { attachScript, preloadInWorkers } from "./worker-preload.ts";

/** A native addon that uses the real libuv. */
export interface LoadedAddon {
  /** The path of the addon. */
  readonly path: string;
  /** The libuv functions that it and its libraries use, in alphabetical order: `["uv_poll_init", …]`. */
  readonly functions: readonly string[];
}

/** The directory of the files embedded by `bun build --compile`. */
const EMBEDDED = "/$bunfs/";

const addons = new Map<string, LoadedAddon>();
let host: LibuvHost | undefined;
let loop: EmbeddedLoop | undefined;

/** Opens libuv on first use. @throws {Error} if it is not installed, or the file is not libuv */
export function openLibuv(): LibuvHost {
  if (host !== undefined) return host;
  const chosen = chosenLibuv();
  if (chosen === undefined) throw new Error(`epoll-hello/libuv is turned off: unset ${LIBUV_VARIABLE}`);
  return (host = new LibuvHost(chosen));
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
  const needs = addonNeeds(file, bunSymbols());
  if (needs.unsupportedByBun.length === 0) load();
  else connect(path, needs, load);
}

function readAddon(path: string): ElfFile | undefined {
  try {
    return path.startsWith(EMBEDDED) ? readAddonFile(nodeFs().readFileSync(path), path) : readAddonFile(path);
  } catch (error) {
    if (error instanceof Error && "syscall" in error) return undefined;
    throw error;
  }
}

function connect(path: string, { functions, required }: AddonNeeds, load: () => void): void {
  const libuv = openLibuv();
  const missing = required.filter((name) => !libuv.has(name));
  if (missing.length > 0) {
    const names = missing.join(", ");
    throw new Error(
      `${path} needs ${names}, which libuv ${libuv.version} (${libuv.path}) does not have. Install a newer libuv ` +
        `(${installHint()}), or set ${LIBUV_VARIABLE} to the path of one`,
    );
  }
  const attached = attachLoop();
  preloadInWorkers();
  libuv.connect(load);
  addons.set(path, { path, functions });
  attached.wake();
}
