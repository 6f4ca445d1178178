// The native addons in a project's node_modules, grouped by package.

import { type Dirent, existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

/** An installed package with at least one file whose name ends with `.node`. */
export interface AddonPackage {
  name: string;
  version: string | undefined;
  /** The real path of its directory. */
  directory: string;
  /** Paths relative to the directory, sorted. */
  files: readonly string[];
  /** The platforms that its package.json allows, such as `["linux"]` or `["!win32"]`. Empty: all. */
  os: readonly string[];
  cpu: readonly string[];
  libc: readonly string[];
}

/** A package with the sources of an addon, but without its file. */
export interface UnbuiltPackage {
  name: string;
  version: string | undefined;
}

export interface FoundAddons {
  packages: readonly AddonPackage[];
  /** Packages whose install script, which builds or downloads the addon, has not run. */
  unbuilt: readonly UnbuiltPackage[];
  /** One message for each directory that could not be read. */
  problems: readonly string[];
}

/** Folders in which package managers keep the packages that they link into node_modules. */
const STORES = new Set([".pnpm", ".bun", ".store"]);
/** Folders to skip: tests' files, and `obj.target`, which holds copies of the files in `build/Release`. */
const SKIPPED = new Set(["test", "tests", "__tests__", "fixtures", "obj.target"]);
/** The maximum depth of folders within a package. */
const MAX_DEPTH = 16;

/**
 * Searches a project's node_modules, nested node_modules, and its own builds. Each package is listed once, even if several
 * links point to it.
 *
 * @param directory the project, or its node_modules
 * @param onPackage called for each package, with the number searched so far
 * @throws {Error} if the directory does not exist, or has neither node_modules nor an addon
 */
export function findAddons(directory: string, onPackage?: (count: number) => void): FoundAddons {
  const project = checkDirectory(directory);
  const search = new Search(project, onPackage);
  const isModules = basename(project) === "node_modules";
  const modules = isModules ? project : join(project, "node_modules");
  const unplugged = join(project, ".yarn", "unplugged");
  if (!isModules) search.visitProject();
  if (isDirectory(modules)) search.visitModules(modules);
  else if (isDirectory(unplugged)) search.visitStore(unplugged);
  else if (search.packages.length === 0) throw noModules(project);
  const { packages, unbuilt, problems } = search;
  const installed = new Set(packages.map(({ name }) => name));
  return {
    packages: packages.sort(byNameAndVersion),
    // The prebuilt file may be in a separate package, an optional dependency.
    unbuilt: unbuilt
      .filter(({ prebuiltPackages }) => !prebuiltPackages.some((name) => installed.has(name)))
      .map(({ name, version }) => ({ name, version }))
      .sort(byNameAndVersion),
    problems,
  };
}

class Search {
  readonly packages: AddonPackage[] = [];
  readonly unbuilt: (UnbuiltPackage & { prebuiltPackages: readonly string[] })[] = [];
  readonly problems: string[] = [];
  readonly #project: string;
  readonly #onPackage: ((count: number) => void) | undefined;
  /** Real paths of packages and of node_modules folders. */
  readonly #visited = new Set<string>();
  #count = 0;

  constructor(project: string, onPackage?: (count: number) => void) {
    this.#project = project;
    this.#onPackage = onPackage;
  }

  /** Searches only the folders where build tools put addons, because a project may contain any other files. */
  visitProject(): void {
    this.#visited.add(this.#project);
    const files: string[] = [];
    for (const folder of ["build/Release", "build/Debug", "prebuilds"]) this.#collect(folder, files, 1, this.#project);
    for (const entry of this.#entriesOf(this.#project)) if (isAddon(this.#project, entry)) files.push(entry.name);
    this.#add(this.#project, files);
  }

  visitModules(modules: string): void {
    if (!this.#enter(modules)) return;
    for (const entry of this.#entriesOf(modules)) {
      const path = join(modules, entry.name);
      if (STORES.has(entry.name)) this.visitStore(path);
      else if (entry.name.startsWith("@")) {
        for (const scoped of this.#entriesOf(path)) this.#visitPackage(join(path, scoped.name), scoped);
      } else if (!entry.name.startsWith(".")) this.#visitPackage(path, entry);
    }
  }

  visitStore(store: string): void {
    for (const { name } of this.#entriesOf(store)) {
      const modules = join(store, name, "node_modules");
      if (isDirectory(modules)) this.visitModules(modules);
    }
  }

  #visitPackage(path: string, entry: Dirent): void {
    if (!entry.isDirectory() && !(entry.isSymbolicLink() && isDirectory(path))) return;
    const directory = realpathSync(path);
    // A link to a folder that contains the project, such as a workspace's root, would lead to unrelated files.
    const contains = directory === "/" || `${this.#project}/`.startsWith(`${directory}/`);
    if (contains || !this.#enter(directory)) return;
    this.#count++;
    this.#onPackage?.(this.#count);
    const files: string[] = [];
    this.#collect("", files, 0, directory);
    this.#add(directory, files);
  }

  /** Marks a folder as visited. Returns false if it has been visited already. */
  #enter(directory: string): boolean {
    const real = realpathSync(directory);
    if (this.#visited.has(real)) return false;
    this.#visited.add(real);
    return true;
  }

  /** Adds the paths of a folder's addons, relative to `root`. */
  #collect(folder: string, files: string[], depth: number, root: string): void {
    const directory = join(root, folder);
    if (depth > MAX_DEPTH || (depth > 0 && !isRealDirectory(directory))) return;
    for (const entry of this.#entriesOf(directory)) {
      const { name } = entry;
      const path = join(folder, name);
      if (isAddon(directory, entry)) files.push(path);
      else if (!entry.isDirectory() || name.startsWith(".") || SKIPPED.has(name)) continue;
      else if (name === "node_modules") this.visitModules(join(directory, name));
      else this.#collect(path, files, depth + 1, root);
    }
  }

  #add(directory: string, files: string[]): void {
    if (files.length === 0 && !existsSync(join(directory, "binding.gyp"))) return;
    const { prebuiltPackages, ...manifest } = readManifest(directory);
    if (files.length > 0) this.packages.push({ directory, files: files.sort(), ...manifest });
    else this.unbuilt.push({ ...manifest, prebuiltPackages });
  }

  #entriesOf(directory: string): Dirent[] {
    try {
      return readdirSync(directory, { withFileTypes: true });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTDIR") this.problems.push(message);
      return [];
    }
  }
}

/** Reads the needed fields of package.json. If it is missing or damaged, the package is named for its folder. */
function readManifest(
  directory: string,
): Omit<AddonPackage, "directory" | "files"> & { prebuiltPackages: readonly string[] } {
  let manifest: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    if (typeof value === "object" && value !== null) manifest = value as Record<string, unknown>;
  } catch {
    // missing or damaged
  }
  const { name, version, os, cpu, libc, optionalDependencies } = manifest;
  return {
    name: typeof name === "string" && name !== "" ? name : basename(directory),
    version: typeof version === "string" && version !== "" ? version : undefined,
    os: words(os),
    cpu: words(cpu),
    libc: words(libc),
    prebuiltPackages: Object.keys((optionalDependencies as object | null | undefined) ?? {}),
  };
}

function words(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((word): word is string => typeof word === "string");
}

function isAddon(directory: string, entry: Dirent): boolean {
  if (!entry.name.endsWith(".node")) return false;
  if (entry.isFile()) return true;
  return entry.isSymbolicLink() && statSync(join(directory, entry.name), { throwIfNoEntry: false })?.isFile() === true;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // missing, a dangling link, or in a folder that may not be read
  }
}

function isRealDirectory(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Returns the real path. */
function checkDirectory(directory: string): string {
  const stats = statSync(directory, { throwIfNoEntry: false });
  const quoted = JSON.stringify(directory);
  if (stats === undefined) throw new Error(`cannot find the directory ${quoted}`);
  if (!stats.isDirectory()) {
    throw new Error(`${quoted} is not a directory; pass that of a project: epoll-hello addons ${dirname(directory)}`);
  }
  return realpathSync(resolve(directory));
}

function noModules(project: string): Error {
  const parent = nearestModules(dirname(project));
  const hint =
    parent === undefined
      ? "run npm install or bun install there first"
      : `its packages may be in ${parent}: epoll-hello addons ${relative(process.cwd(), parent) || "."}`;
  return new Error(`${project} has no node_modules; ${hint}`);
}

/** Returns the nearest directory above with a node_modules, where a workspace's packages are. */
function nearestModules(directory: string): string | undefined {
  if (isDirectory(join(directory, "node_modules"))) return directory;
  const parent = dirname(directory);
  return parent === directory ? undefined : nearestModules(parent);
}

function byNameAndVersion(a: UnbuiltPackage, b: UnbuiltPackage): number {
  return compare(a.name, b.name) || compare(a.version ?? "", b.version ?? "");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
