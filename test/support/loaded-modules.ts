// A preloaded module that prints which modules the process has loaded: as JSON, on standard error, when it exits.

import { writeSync } from "node:fs";

export interface LoadedModules {
  /** The files, with absolute paths. */
  files: string[];
  /** The modules of Bun that were loaded on first use. */
  builtins: string[];
}

const builtins = new Set<string>();
const getBuiltinModule = process.getBuiltinModule;
process.getBuiltinModule = ((name: string) => {
  builtins.add(name);
  return getBuiltinModule.call(process, name);
}) as typeof getBuiltinModule;

process.on("exit", () => {
  const loaded: LoadedModules = { files: Object.keys(require.cache), builtins: [...builtins] };
  writeSync(2, `${JSON.stringify(loaded)}\n`);
});
