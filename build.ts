// Builds dist/: the library and the command as a few bundles, because a program starts faster with a few files than with a hundred.
//
//   bun build.ts [directory]

import { rmSync } from "node:fs";
import { dirname, join } from "node:path";

const src = join(import.meta.dir, "src");
const outdir = process.argv[2] ?? join(import.meta.dir, "dist");

/** What package.json exports, the command, and the programs of its Workers. */
const programs = [
  "index",
  "libuv/addon-connector",
  "npm-epoll/index",
  "npm-epoll/preload",
  "tools/cli/main",
  "tools/debugger/debug-thread",
  "tools/debugger/process-thread",
  "tools/lessons/thundering-herd-worker",
];

/** A require() of another module of src/, which is loaded only if it is needed. */
const REQUIRE = /\brequire\("(\.[^"]*\.ts)"\)/g;
/** The file in dist/ that loads these modules. */
const LOADER = "./on-demand.js";

/** Files that need no loader: the command is not bundled into programs, and the preload for native addons is built below. */
const usesNoLoader = (file: string): boolean => /^(?:tools|libuv)\//.test(file);

/** The modules that the library loads with require(). Each gets a bundle of its own: the larger the bundles, the slower the start. */
const optional = new Set<string>();
for (const file of new Bun.Glob("**/*.ts").scanSync(src)) {
  if (usesNoLoader(file)) continue;
  const text = await Bun.file(join(src, file)).text();
  for (const [, path = ""] of text.matchAll(REQUIRE)) optional.add(moduleAt(file, path));
}

/**
 * Modules that are loaded on demand, with modules that are always loaded by then. The bundler makes one bundle of the modules that
 * are needed by the same entry points and modules on demand. Without this table, that would be sixty bundles.
 */
const onDemand: [modules: RegExp, loadedBefore: string[]][] = [
  [/^tools\/cli\/(commands\/.*|help|flags)$/, ["index", "tools/cli/parse-arguments", "tools/cli/app-address"]],
  [/^tools\/(debugger\/(?:debug|process)-thread|lessons\/thundering-herd-worker)$/, ["index"]],
  [/^serve\/load-app$/, ["index"]],
  [new RegExp(`^(?:${[...optional].join("|")})$`), ["index"]],
];

const plugin: Bun.BunPlugin = {
  name: "epoll-hello",
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const name = path.slice(src.length + 1, -".ts".length);
      const [, loadedBefore = []] = onDemand.find(([modules]) => modules.test(name)) ?? [];
      const imports = loadedBefore.map((other) => `import ${JSON.stringify(join(src, `${other}.ts`))};`).join("");
      const text = keepClassNames(await Bun.file(path).text());
      return { loader: "ts", contents: imports + (usesNoLoader(name) ? text : useLoader(name, text)) };
    });
    build.onResolve({ filter: /^\.\/on-demand\.js$/ }, () => ({ path: LOADER, external: true }));
  },
};

rmSync(outdir, { recursive: true, force: true });
await Bun.build({
  entrypoints: [...programs, ...optional].map((name) => join(src, `${name}.ts`)),
  root: src,
  outdir,
  target: "bun",
  splitting: true, // all entry points share one copy of each module
  splitRequire: false,
  sourcemap: "linked", // stack traces, traces and the debugger show the lines of src/
  external: ["citty", "consola/*"],
  define: { EPOLL_HELLO_IS_BUILT: "true" },
  ignoreDCEAnnotations: true, // the imports added below have no names, and package.json says that such imports have no effect
  plugins: [plugin],
});

// Bundlers of programs follow a plain require(), but not the bundler's own. Bun supplies require() only in files without the comment
// `// @bun`, which it has to transpile, so the calls are in a small file.
for (const file of new Bun.Glob("*/**/*.js").scanSync(outdir)) {
  if ((await Bun.file(join(outdir, file)).text()).includes(`from ${JSON.stringify(LOADER)}`))
    throw new Error(`${file} cannot import ${LOADER}, which is in another directory`);
}
const loaders = [...optional].map((name) => `  ${JSON.stringify(name)}: () => require("./${name}.js"),`).join("\n");
await Bun.write(
  join(outdir, LOADER),
  `// Loads the modules that most programs do not need.\nconst modules = {\n${loaders}\n};\nexport const onDemand = (name) => modules[name]();\n`,
);

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

/** Replaces each require() of another module by a call of the loader. Keeps the numbers of the lines. */
function useLoader(name: string, text: string): string {
  const replaced = text.replace(
    REQUIRE,
    (_, path: string) => `onDemand(${JSON.stringify(moduleAt(`${name}.ts`, path))})`,
  );
  return replaced === text ? text : `import { onDemand } from ${JSON.stringify(LOADER)};${replaced}`;
}

/** Returns the name of the module that a path in a file of src/ refers to. */
function moduleAt(file: string, path: string): string {
  return join(dirname(file), path).replace(/\.ts$/, "");
}

/**
 * The bundler renames whatever an entry point exports from a shared bundle, as in `class Socket2`, and console.log(socket) would
 * print that. It does not rename class expressions.
 */
function keepClassNames(text: string): string {
  return text.replace(/^export class (\w+)/gm, "export const $1 = class $1");
}
