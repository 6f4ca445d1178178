// The page's three files. Its program is bundled here and now, from client/: nothing is built before, nothing comes from a network.

import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Asset {
  type: string;
  bytes: Uint8Array;
}

/** By path. @throws {Error} if the program does not bundle */
export async function assets(): Promise<ReadonlyMap<string, Asset>> {
  const folder = join(import.meta.dir, "client");
  const built = await Bun.build({
    entrypoints: [join(folder, "main.tsx")],
    target: "browser",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    throw: false,
  });
  const [program] = built.outputs;
  if (!built.success || program === undefined) {
    throw new Error(`the page's program cannot be bundled: ${built.logs.map(String).join("; ")}`);
  }
  return new Map<string, Asset>([
    ["/", { type: "text/html; charset=utf-8", bytes: readFileSync(join(folder, "index.html")) }],
    ["/style.css", { type: "text/css; charset=utf-8", bytes: readFileSync(join(folder, "style.css")) }],
    ["/main.js", { type: "text/javascript; charset=utf-8", bytes: new Uint8Array(await program.arrayBuffer()) }],
  ]);
}
