// The libuv functions that a native addon needs, and whether Bun has them.

import { dirname } from "node:path";
import type { BunSymbols } from "./bun-symbols.ts";
import { type ElfFile, readAddonFile } from "./elf-file.ts";

/** What an addon, and the libraries shipped with it, need of libuv. Each list is in alphabetical order. */
export interface AddonNeeds {
  /** The functions that are used. */
  functions: readonly string[];
  /** Those without which the addon cannot be loaded: all but the weak ones. */
  required: readonly string[];
  /** Those that end the process in plain Bun. If there are any, the addon needs the real libuv. */
  unsupportedByBun: readonly string[];
}

/** Determines which libuv functions an addon needs. */
export function addonNeeds(addon: ElfFile, bun: BunSymbols): AddonNeeds {
  const files = withOwnLibraries(addon);
  const required = libuvNames(files.flatMap(({ imports }) => imports));
  const functions = libuvNames([...required, ...files.flatMap(({ weakImports }) => weakImports)]);
  const stubs = new Set(bun.stubsAmong(functions));
  const unsupportedByBun = functions.filter(
    (name) => stubs.has(name) || (!bun.exports(name) && required.includes(name)),
  );
  return { functions, required, unsupportedByBun };
}

function libuvNames(names: readonly string[]): string[] {
  return [...new Set(names.filter((name) => name.startsWith("uv_")))].sort();
}

const ORIGIN = /^\$(?:ORIGIN|\{ORIGIN\})/;

/** Returns an addon and the libraries shipped with it: those that the dynamic linker finds through `$ORIGIN`. */
function withOwnLibraries(addon: ElfFile): ElfFile[] {
  const files = [addon];
  for (const { path, runpath = "", needed } of files) {
    const directories = runpath.split(":").filter((directory) => ORIGIN.test(directory));
    for (const name of directories.length === 0 ? [] : needed) {
      const paths = directories.map((directory) => `${directory.replace(ORIGIN, dirname(path))}/${name}`);
      if (files.some((file) => paths.includes(file.path))) continue;
      const library = paths.map(readLibrary).find((file) => file !== undefined);
      if (library !== undefined) files.push(library); // the loop visits it, too
    }
  }
  return files;
}

function readLibrary(path: string): ElfFile | undefined {
  try {
    return readAddonFile(path);
  } catch {
    return undefined; // the dynamic linker searches further, and reports a missing library
  }
}
