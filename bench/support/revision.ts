// Checks out a revision of this repository, to compare its library with another's.

import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Kind } from "../servers/handler.ts";
import { scratch } from "./scratch.ts";

const root = join(import.meta.dir, "../..");
const LIBRARY = ["src", "native", "package.json"];

/** Returns the id of a revision such as `HEAD^`, or undefined if it doesn't exist. */
export function commitOf(revision: string): string | undefined {
  const { success, stdout } = git("rev-parse", "--verify", "--quiet", `${revision}^{commit}`);
  return success ? stdout.toString().trim() : undefined;
}

/** Whether the library is the same in both commits. */
export function isSameLibrary(a: string, b: string): boolean {
  return git("diff", "--quiet", a, b, "--", ...LIBRARY).success;
}

/**
 * Extracts a commit into a directory, with the present server programs and the installed dependencies, and returns a function that
 * returns the command of a server. Both directories of a comparison should have names of the same length.
 */
export function checkOut(commit: string, name: string): (mode: "run" | "start", kind: Kind) => string[] {
  const folder = join(scratch, name);
  const archive = `${folder}.tar`;
  mkdirSync(folder);
  const isExtracted =
    git("archive", "--output", archive, commit).success &&
    Bun.spawnSync(["tar", "-xf", archive, "-C", folder], { stderr: "inherit" }).success;
  if (!isExtracted) throw new Error(`cannot extract ${commit}`);
  const servers = join(folder, "bench/servers");
  rmSync(servers, { recursive: true, force: true });
  cpSync(join(root, "bench/servers"), servers, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return (mode, kind) => [process.execPath, join(servers, "epoll-server.ts"), mode, kind];
}

function git(...args: string[]): Bun.SyncSubprocess<"pipe", "inherit"> {
  return Bun.spawnSync(["git", ...args], { cwd: root, stderr: "inherit" });
}
