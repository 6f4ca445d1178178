// Finds the system's libuv where the dynamic linker searches, without loading it.

import { nodeFs } from "../kernel/node-fs.ts";
import { type ElfFile, readAddonFile } from "./elf-file.ts";
import { chosenLibuv } from "./libuv-setting.ts";

const DIRECTORIES = ["/usr/local/lib64", "/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
const MULTIARCH: Readonly<Record<string, string>> = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };
const MUSL_ARCH: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Returns libuv's file, or undefined if there is none for this architecture or `epoll-hello/libuv` is turned off.
 *
 * @param libc the C library of this process
 * @throws {ElfError | Error} if `EPOLL_HELLO_LIBUV` names a file that is not a shared object for this machine
 */
export function findLibuv(libc: "glibc" | "musl"): ElfFile | undefined {
  const chosen = chosenLibuv();
  if (chosen === undefined) return undefined;
  if (chosen.includes("/")) return readAddonFile(chosen);
  const tried = new Set<string>();
  for (const path of candidates(chosen, libc)) {
    if (tried.has(path)) continue;
    tried.add(path);
    try {
      return readAddonFile(path);
    } catch {
      // missing, or for another architecture: the dynamic linker searches further, too
    }
  }
  return undefined;
}

/** Yields the paths in the order in which the dynamic linker tries them. */
function* candidates(name: string, libc: "glibc" | "musl"): Generator<string> {
  const inDirectories = (directories: readonly string[]): string[] =>
    directories.filter((directory) => directory !== "").map((directory) => `${directory}/${name}`);
  yield* inDirectories(process.env["LD_LIBRARY_PATH"]?.split(/[:;]/) ?? []);
  if (libc === "musl") {
    const list = readText(`/etc/ld-musl-${MUSL_ARCH[process.arch]}.path`);
    yield* inDirectories(list === "" ? ["/lib", "/usr/local/lib", "/usr/lib"] : list.split(/[\n:]/));
    return;
  }
  // The cache of ldconfig(8) contains the paths as C strings.
  for (const text of readText("/etc/ld.so.cache").split("\0")) {
    const path = text.slice(text.indexOf("/"));
    if (path.startsWith("/") && path.endsWith(`/${name}`)) yield path;
  }
  const multiarch = MULTIARCH[process.arch];
  if (multiarch !== undefined) yield* inDirectories([`/lib/${multiarch}`, `/usr/lib/${multiarch}`]);
  yield* inDirectories(DIRECTORIES);
}

function readText(path: string): string {
  try {
    return nodeFs().readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
