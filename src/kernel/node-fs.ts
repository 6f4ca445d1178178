// node:fs, loaded on first use, because loading takes 2 ms and most servers never access a file.

type NodeFs = typeof import("node:fs");

let loaded: NodeFs | undefined;

/** Returns node:fs. The first call loads it. */
export function nodeFs(): NodeFs {
  return (loaded ??= process.getBuiltinModule("node:fs"));
}
