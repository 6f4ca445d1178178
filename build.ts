// Builds dist/: the library and the command as a few bundles, because a program starts faster with a few files than with a hundred.
//
//   bun build.ts [directory]

import { rmSync } from "node:fs";
import { join } from "node:path";

const src = join(import.meta.dir, "src");
const outdir = process.argv[2] ?? join(import.meta.dir, "dist");

/** What package.json exports, the command, and the programs of its Workers. */
const entrypoints = [
  "index",
  "libuv/addon-connector",
  "npm-epoll/index",
  "npm-epoll/preload",
  "tools/cli/main",
  "tools/debugger/debug-thread",
  "tools/lessons/thundering-herd-worker",
];

/**
 * Modules that are loaded on demand, with modules that are always loaded by then. The bundler makes one bundle of the modules that
 * are needed by the same entry points and modules on demand. Without this table, that would be sixty bundles.
 */
const onDemand: [modules: RegExp, loadedBefore: string[]][] = [
  [/^tools\/cli\/(commands\/.*|help|flags)$/, ["index", "tools/cli/parse-arguments", "tools/cli/app-address"]],
  [/^tools\/(debugger\/debug-thread|lessons\/thundering-herd-worker)$/, ["index"]],
  [/^serve\/load-app$/, ["index"]],
];

const plugin: Bun.BunPlugin = {
  name: "epoll-hello",
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const name = path.slice(src.length + 1, -".ts".length);
      const [, loadedBefore = []] = onDemand.find(([modules]) => modules.test(name)) ?? [];
      const imports = loadedBefore.map((other) => `import ${JSON.stringify(join(src, `${other}.ts`))};`).join("");
      return { loader: "ts", contents: imports + keepClassNames(await Bun.file(path).text()) };
    });
  },
};

rmSync(outdir, { recursive: true, force: true });
await Bun.build({
  entrypoints: entrypoints.map((name) => join(src, `${name}.ts`)),
  root: src,
  outdir,
  target: "bun",
  splitting: true, // all entry points share one copy of each module
  splitRequire: false, // bundlers of programs that use the package cannot follow a require() of another bundle
  sourcemap: "linked", // stack traces, traces and the debugger show the lines of src/
  external: ["citty", "consola/*"],
  define: { EPOLL_HELLO_IS_BUILT: "true" },
  ignoreDCEAnnotations: true, // the imports added below have no names, and package.json says that such imports have no effect
  plugins: [plugin],
});

// The preload for native addons is a small bundle of its own. The first addon loads the rest.
const preload = "libuv/index";
const connector = "./addon-connector.js";
await Bun.build({
  entrypoints: [join(src, `${preload}.ts`)],
  root: src,
  outdir,
  target: "bun",
  sourcemap: "linked",
  plugins: [
    {
      name: "addon-connector",
      setup(build) {
        build.onResolve({ filter: /\/addon-connector\.ts$/ }, () => ({ path: connector, external: true }));
      },
    },
  ],
});
const output = join(outdir, `${preload}.js`);
const text = await Bun.file(output).text();
const required = `__require(${JSON.stringify(connector)})`;
if (!text.startsWith("// @bun\n") || !text.includes(required)) throw new Error(`${output} is not as expected`);
// Bundlers of programs follow require(), but not the bundler's own __require(). Bun supplies require() in files without the comment.
await Bun.write(output, text.replace("// @bun\n", "//\n").replace(required, `require(${JSON.stringify(connector)})`));

/**
 * The bundler renames whatever an entry point exports from a shared bundle, as in `class Socket2`, and console.log(socket) would
 * print that. It does not rename class expressions.
 */
function keepClassNames(text: string): string {
  return text.replace(/^export class (\w+)/gm, "export const $1 = class $1");
}
