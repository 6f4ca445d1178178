// node:fs, loaded when it is needed: it takes two milliseconds, and most servers never touch a file.

type NodeFs = typeof import("node:fs");

let loaded: NodeFs | undefined;

export function nodeFs(): NodeFs {
  return (loaded ??= process.getBuiltinModule("node:fs"));
}
