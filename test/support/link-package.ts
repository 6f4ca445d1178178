// Makes the sources of this repository importable as the package epoll-hello, without building dist/ first.

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./programs.ts";

/** Creates the package in a folder `node_modules`. Its package.json exports src/ instead of dist/, which may not exist or be old. */
export function linkPackage(modules: string): void {
  const folder = join(modules, "epoll-hello");
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(root)) {
    if (/^(\..*|dist|package\.json)$/.test(name)) continue;
    symlinkSync(join(root, name), join(folder, name));
  }
  const manifest = readFileSync(join(root, "package.json"), "utf8");
  writeFileSync(
    join(folder, "package.json"),
    manifest.replace(/"default": "\.\/dist\/(.*)\.js"/g, '"default": "./src/$1.ts"'),
  );
}
