// The reasons why some native addons cannot run on Bun, even with libuv.

import type { BunSymbols } from "./bun-symbols.ts";
import type { ElfFile } from "./elf-file.ts";

/** V8 and Node's C++ functions: names in the namespaces `v8` and `node`. */
const V8_NAME = /^_Z(?:T[ISV])?N[KVr]*(?:2v8|4node)/;

/**
 * Returns why an addon that needs missing V8 functions cannot run, as the rest of a sentence about it. The dynamic linker would
 * end the process when the addon calls one of them.
 */
export function v8Problem({ imports }: ElfFile, bun: BunSymbols): string | undefined {
  const missing = imports.filter((name) => V8_NAME.test(name) && !bun.exports(name));
  const [first] = missing;
  if (first === undefined) return undefined;
  const count = missing.length === 1 ? "one function" : `${missing.length} functions`;
  return `uses V8's C++ API, of which Bun doesn't provide ${count} that it needs, such as ${demangle(first)}: use a version or a package that is built on Node-API`;
}

const NODES_LOOP = "_ZN4node19GetCurrentEventLoopEPN2v87IsolateE";

/** Returns why an addon that waits for Node's own events, such as deasync, cannot run, as the rest of a sentence about it. */
export function runProblem({ imports }: ElfFile): string | undefined {
  if (!imports.includes("uv_run") || !imports.includes(NODES_LOOP)) return undefined;
  return "runs Node's event loop inside a function call (uv_run), to wait for timers and promises: Bun's event loop cannot be run that way. Use await instead";
}

/** Returns `v8::Context::Global` for `_ZN2v87Context6GlobalEv`: the name without the parameters. */
export function demangle(mangled: string): string {
  let rest = mangled.replace(/^_Z(?:T[ISV])?N[KVr]*/, "");
  const names: string[] = [];
  for (;;) {
    const digits = /^[1-9]\d{0,3}/.exec(rest)?.[0];
    if (digits === undefined) break;
    const length = Number(digits);
    names.push(rest.slice(digits.length, digits.length + length));
    rest = rest.slice(digits.length + length);
  }
  const [last] = names.slice(-1);
  if (last !== undefined && /^C[1-3]/.test(rest)) names.push(last);
  return names.length > 1 ? names.join("::") : mangled;
}
