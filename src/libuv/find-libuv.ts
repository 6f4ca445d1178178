// The file of the system's libuv, found where the dynamic linker looks, without loading it.

import { readAddonFile } from "./elf-file.ts";
import type { ElfFile } from "./elf-file.ts";
import { nodeFs } from "../kernel/node-fs.ts";

/** Names a file to use instead of the system's libuv. */
export const LIBUV_VARIABLE = "EPOLL_HELLO_LIBUV";
const SONAME = "libuv.so.1";

const DIRECTORIES = ["/usr/local/lib64", "/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
const MULTIARCH: Readonly<Record<string, string>> = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };
const MUSL_ARCH: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Returns libuv's file, or undefined if there is none for this architecture.
 *
 * @param libc the C library of this process
 * @throws {ElfError | Error} if `EPOLL_HELLO_LIBUV` names a file that is not a shared object for this machine
 */
export function findLibuv(libc: "glibc" | "musl"): ElfFile | undefined {
  const chosen = process.env[LIBUV_VARIABLE];
  if (chosen !== undefined && chosen !== "") return readAddonFile(chosen);
  const tried = new Set<string>();
  for (const path of candidates(libc)) {
    if (tried.has(path)) continue;
    tried.add(path);
    try {
      return readAddonFile(path);
    } catch {
      // not there, or for another architecture: the dynamic linker looks further, too
    }
  }
  return undefined;
}

function* candidates(libc: "glibc" | "musl"): Generator<string> {
  const own = process.env["LD_LIBRARY_PATH"]?.split(/[:;]/) ?? [];
  yield* inDirectories(own);
  if (libc === "musl") {
    const list = readText(`/etc/ld-musl-${MUSL_ARCH[process.arch]}.path`);
    yield* inDirectories(list === "" ? ["/lib", "/usr/local/lib", "/usr/lib"] : list.split(/[\n:]/));
    return;
  }
  // The cache of ldconfig(8) contains the paths as C strings.
  for (const [path] of readText("/etc/ld.so.cache").matchAll(/\/[^\0]*\/libuv\.so\.1(?=\0)/g)) yield path;
  const multiarch = MULTIARCH[process.arch];
  if (multiarch !== undefined) yield* inDirectories([`/lib/${multiarch}`, `/usr/lib/${multiarch}`]);
  yield* inDirectories(DIRECTORIES);
}

function inDirectories(directories: readonly string[]): string[] {
  return directories.filter((directory) => directory !== "").map((directory) => `${directory}/${SONAME}`);
}

function readText(path: string): string {
  try {
    return nodeFs().readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
