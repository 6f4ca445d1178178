// node:fs, loaded on first use: loading takes 2 ms, and most servers never access a file.

type NodeFs = typeof import("node:fs");

let loaded: NodeFs | undefined;

export function nodeFs(): NodeFs {
  return (loaded ??= process.getBuiltinModule("node:fs"));
}
