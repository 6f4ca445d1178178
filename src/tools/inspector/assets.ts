// The page's HTML, CSS and JavaScript, bundled from client/ when the inspector starts. No build step, no network.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../kernel/package-root.ts";

export interface Asset {
  type: string;
  bytes: Uint8Array;
}

/** In cascade order: responsive rules override the ones before them. */
const STYLES = [
  "theme",
  "base",
  "controls",
  "loop-diagram",
  "kernel-lists",
  "timeline",
  "fd-table",
  "connection",
  "timings",
  "event-detail",
  "test-clients",
  "breakpoints",
  "lessons",
  "responsive",
];

const client = join(packageRoot, "src/tools/inspector/client");

/**
 * Checks that the source files are on disk.
 *
 * @throws {Error} if they are not, as in an executable made by `bun build --compile`
 */
export function requireSources(): void {
  if (!import.meta.dir.startsWith("/$bunfs/")) return;
  throw new Error(
    "--step and --inspect are not available in a compiled executable, because it lacks the source files that they " +
      "load; use the package instead: bunx epoll-hello --inspect",
  );
}

/**
 * Returns the assets by path.
 *
 * @throws {Error} if the client does not compile
 */
export async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  requireSources();
  const [page, worker] = await Promise.all([bundle("main.tsx"), bundle("stream-worker.ts")]);
  const css = STYLES.map((name) => readFileSync(join(client, "styles", `${name}.css`), "utf8")).join("\n");
  return new Map<string, Asset>([
    ["/", { type: "text/html; charset=utf-8", bytes: readFileSync(join(client, "index.html")) }],
    ["/style.css", { type: "text/css; charset=utf-8", bytes: new TextEncoder().encode(css) }],
    ["/main.js", { type: "text/javascript; charset=utf-8", bytes: page }],
    ["/stream-worker.js", { type: "text/javascript; charset=utf-8", bytes: worker }],
  ]);
}

async function bundle(file: string): Promise<Uint8Array> {
  const build = await Bun.build({
    entrypoints: [join(client, file)],
    target: "browser",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    throw: false,
  });
  const [script] = build.outputs;
  if (!build.success || script === undefined) {
    throw new Error(`cannot bundle the inspector page: ${build.logs.map(String).join("; ")}`);
  }
  return new Uint8Array(await script.arrayBuffer());
}
