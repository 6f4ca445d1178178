// A project in a temporary directory, with packages that contain native addons made by hand.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { buildElf, type ElfParts } from "./elf.ts";

const LIBC = bunSymbols().libc;
const LIBC_SONAME = LIBC === "glibc" ? "libc.so.6" : `libc.musl-${process.arch === "x64" ? "x86_64" : "aarch64"}.so.1`;

/** `"x64"` or `"arm64"`: whichever this machine is not. */
export const otherArch: string = process.arch === "x64" ? "arm64" : "x64";
export const otherLibc: string = LIBC === "glibc" ? "musl" : "glibc";
export const thisLibc: string = LIBC;
/** `"linux-x64"` */
export const thisTuple: string = `linux-${process.arch}`;

/** Returns the file of an addon on Node-API that imports these functions as well. */
export function addonFile(imports: readonly string[] = [], parts: ElfParts = {}): Buffer {
  return buildElf({
    imports: ["napi_create_function", ...imports],
    exports: ["napi_register_module_v1"],
    needed: [LIBC_SONAME],
    ...parts,
  });
}

export class Project {
  readonly directory: string = realpathSync(mkdtempSync(join(tmpdir(), "epoll-hello-")));

  /** Writes a file, and returns its path. Folders are created. */
  write(path: string, content: string | Uint8Array): string {
    const file = join(this.directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  /** Writes a package into a folder of the project; default: node_modules. Returns its directory. */
  addPackage(
    manifest: { name: string; version?: string; [field: string]: unknown },
    files: Readonly<Record<string, string | Uint8Array>>,
    folder: string = join("node_modules", manifest.name),
  ): string {
    this.write(join(folder, "package.json"), JSON.stringify(manifest));
    for (const [name, content] of Object.entries(files)) this.write(join(folder, name), content);
    return join(this.directory, folder);
  }

  link(path: string, target: string): void {
    const file = join(this.directory, path);
    mkdirSync(dirname(file), { recursive: true });
    symlinkSync(target, file);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}
