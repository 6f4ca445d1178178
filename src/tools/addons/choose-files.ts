// Chooses the prebuilt file that a package's loader would load on this platform.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AddonPackage } from "./find-addons.ts";
import { matchesPlatform, parsePath, type PathTags, type Platform } from "./platform.ts";

/** The files of one addon for this platform, relative to the package, best first. A loader loads the first one that it can. */
export type Candidates = readonly [string, ...string[]];

export interface ChosenFiles {
  /** One list for each addon of the package. */
  addons: readonly Candidates[];
  /** Whether the package is only for other platforms, so that a missing file is not an error. */
  isForeign: boolean;
}

/**
 * Chooses files as node-gyp-build, prebuildify, cmake-ts, node-pre-gyp and napi-rs do:
 *
 * - Files built on this machine, in build/Release or build/Debug, come first.
 * - Otherwise, the path must name this platform or none. The file with the most matching tags wins.
 * - cmake-ts lists its files in manifest.json and takes the highest ABI version.
 */
export function chooseFiles(found: AddonPackage, platform: Platform): ChosenFiles {
  const isAllowed =
    allows(found.os, platform.os) && allows(found.cpu, platform.arch) && allows(found.libc, platform.libc);
  if (!isAllowed) return { addons: [], isForeign: true };
  const built = localBuild(found.files, "Release") ?? localBuild(found.files, "Debug");
  if (built !== undefined) return { addons: built.map((file): Candidates => [file]), isForeign: false };
  const listed = listedFiles(found);
  const candidates = found.files
    .map((file) => ({ file, tags: parsePath(file) }))
    .filter(({ file, tags }) => matchesPlatform(tags, platform) && listed(file))
    .sort((a, b) => compareTags(a.tags, b.tags));
  const groups = Map.groupBy(candidates, ({ tags }) => tags.identity);
  return { addons: [...groups.values()].map((group) => group.map(({ file }) => file) as [string]), isForeign: false };
}

/** Returns whether a list in package.json, such as `["linux", "darwin"]` or `["!win32"]`, allows a value. */
function allows(list: readonly string[], value: string): boolean {
  if (list.includes(`!${value}`)) return false;
  const wanted = list.filter((word) => !word.startsWith("!") && word !== "any");
  return wanted.length === 0 || wanted.includes(value);
}

/** Returns the files that node-gyp has built, or undefined if there are none. */
function localBuild(files: readonly string[], type: "Release" | "Debug"): string[] | undefined {
  const built = files.filter((file) => `/${dirname(file)}`.endsWith(`/build/${type}`));
  return built.length > 0 ? built : undefined;
}

/** Orders candidates as loaders do: those for this libc, then those for Bun's ABI, then the highest other ABI version. */
function compareTags(a: PathTags, b: PathTags): number {
  const specificity = ({ libc, abi, archs }: PathTags): number =>
    Number(libc !== undefined) * 2 + Number(abi !== undefined) + Number(archs.length === 1);
  return specificity(b) - specificity(a) || b.anyAbi - a.anyAbi;
}

/** Returns a test for the files that a manifest.json of cmake-ts lists. Files of other directories pass. */
function listedFiles({ directory, files }: AddonPackage): (file: string) => boolean {
  const folder = "build";
  if (!files.some((file) => file.startsWith(`${folder}/`))) return () => true;
  let listed: Set<string>;
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(directory, folder, "manifest.json"), "utf8"));
    const paths = Object.values(manifest as Record<string, unknown>).filter((path) => typeof path === "string");
    listed = new Set(paths.map((path) => `${folder}/${path.replaceAll("\\", "/")}`));
  } catch {
    return () => true; // no such file, or another kind of manifest
  }
  if (!files.some((file) => listed.has(file))) return () => true;
  return (file) => !file.startsWith(`${folder}/`) || listed.has(file);
}
