// Generates the API reference, docs/api, from the doc comments of the package's exports.
//
//   bun docs/build/api/main.ts            writes the files
//   bun docs/build/api/main.ts --check    fails if the files are out of date

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Project } from "ts-morph";
import { Reference } from "./reference.ts";
import { renderAll } from "./render.ts";

const root = join(import.meta.dir, "../../..");
const folder = join(root, "docs/api");
const entryPoints = {
  "epoll-hello": join(root, "src/index.ts"),
  "epoll-hello/libuv": join(root, "src/libuv/index.ts"),
  "epoll-hello/npm-epoll": join(root, "src/npm-epoll/index.ts"),
};

const project = new Project({ tsConfigFilePath: join(root, "tsconfig.json"), skipAddingFilesFromTsConfig: true });
project.addSourceFilesAtPaths(Object.values(entryPoints));
project.resolveSourceFileDependencies();

const pages = renderAll(new Reference(project, root, entryPoints));
const present = existsSync(folder) ? readdirSync(folder) : [];
const stale = present.filter((name) => !pages.has(name));

if (process.argv.includes("--check")) {
  const changed = [...pages].filter(([name, text]) => !present.includes(name) || read(name) !== text);
  const names = [...changed.map(([name]) => name), ...stale].map((name) => `docs/api/${name}`);
  if (names.length > 0) {
    console.error(
      `The API reference is out of date: ${names.join(", ")}.\nRun \`npm run docs:api\` and commit the result.`,
    );
    process.exit(1);
  }
} else {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of pages) writeFileSync(join(folder, name), text);
  for (const name of stale) rmSync(join(folder, name));
  console.log(`docs/api: ${pages.size} pages`);
}

function read(name: string): string {
  return readFileSync(join(folder, name), "utf8");
}
