// Checks whether a project's native addons run on plain Bun, with epoll-hello/libuv, or not at all.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { addonNeeds } from "../../libuv/addon-needs.ts";
import { type BunSymbols, bunSymbols } from "../../libuv/bun-symbols.ts";
import { ElfError, type ElfFile, readAddonFile } from "../../libuv/elf-file.ts";
import { isForOtherSystem } from "../../libuv/file-signature.ts";
import { findLibuv } from "../../libuv/find-libuv.ts";
import { installHint } from "../../libuv/libuv-packages.ts";
import { chosenLibuv, LIBUV_VARIABLE, OFF } from "../../libuv/libuv-setting.ts";
import { runProblem, v8Problem } from "../../libuv/unsupported-addon.ts";
import { chooseFiles } from "./choose-files.ts";
import { type AddonPackage, findAddons } from "./find-addons.ts";
import { formatPlatform, type Platform, thisPlatform } from "./platform.ts";

/**
 * - `plain-bun`: runs without this package
 * - `with-libuv`: runs with `epoll-hello/libuv`
 * - `fails`: `reason` says why
 */
export type AddonResult = "plain-bun" | "with-libuv" | "fails";

export interface AddonReport {
  package: string;
  version: string | null;
  /** The file that is loaded on this platform; null if the package has none for it. */
  path: string | null;
  /** The libuv functions that the addon imports, sorted. */
  uvFunctions: readonly string[];
  /** Those that end the process on plain Bun. */
  unsupportedByBun: readonly string[];
  /** Whether it imports `napi_get_uv_event_loop`. */
  usesEventLoop: boolean;
  result: AddonResult;
  /** Why it fails. */
  reason: string | null;
}

export interface ProjectReport {
  directory: string;
  platform: Platform;
  bun: string;
  /** The path of libuv; null if it is not installed. */
  libuv: string | null;
  addons: readonly AddonReport[];
  /** Packages that contain only an addon's sources, because their install script has not run. */
  unbuilt: readonly { package: string; version: string | null }[];
  /** The number of files for other platforms, which were not checked. */
  otherFiles: number;
  /** One message for each directory that could not be read. */
  problems: readonly string[];
}

/**
 * Finds and checks the native addons of a project.
 *
 * @param onPackage called for each package, with the number searched so far
 * @throws {Error} if the directory does not exist, or has no node_modules
 */
export function checkAddons(directory: string, onPackage?: (count: number) => void): ProjectReport {
  const { packages, unbuilt, problems } = findAddons(directory, onPackage);
  const host = new Host();
  const addons = packages.flatMap((found) => checkPackage(found, host));
  const total = packages.reduce((sum, { files }) => sum + files.length, 0);
  return {
    directory,
    platform: host.platform,
    bun: process.versions.bun ?? "",
    libuv: host.libuv?.path ?? null,
    addons,
    unbuilt: unbuilt.map(({ name, version = null }) => ({ package: name, version })),
    otherFiles: total - addons.filter(({ path }) => path !== null).length,
    problems,
  };
}

/** What this machine provides to an addon. */
class Host {
  readonly bun: BunSymbols = bunSymbols();
  readonly platform: Platform = thisPlatform(this.bun);
  readonly libuv: ElfFile | undefined;
  /** Why libuv cannot be used: completes "needs libuv, …". */
  readonly libuvProblem: string;
  readonly #libuvExports: ReadonlySet<string>;

  constructor() {
    let problem =
      chosenLibuv() === undefined
        ? `but ${LIBUV_VARIABLE} is ${OFF}: unset it`
        : `which isn't installed: ${installHint()}`;
    try {
      this.libuv = findLibuv(this.bun.libc);
    } catch (error) {
      problem = `but ${LIBUV_VARIABLE} cannot be used: ${(error as Error).message}`;
    }
    if (this.libuv !== undefined && !this.libuv.exports.includes("uv_run")) {
      problem = `but ${this.libuv.path} isn't libuv: it has no function uv_run; correct ${LIBUV_VARIABLE}, or unset it`;
      this.libuv = undefined;
    }
    this.libuvProblem = problem;
    this.#libuvExports = new Set(this.libuv?.exports);
  }

  libuvExports(name: string): boolean {
    return this.#libuvExports.has(name);
  }
}

function checkPackage(found: AddonPackage, host: Host): AddonReport[] {
  const { addons, isForeign } = chooseFiles(found, host.platform);
  const base = { package: found.name, version: found.version ?? null, ...NOTHING };
  if (isForeign) return [];
  if (addons.length === 0) {
    const reason = `has no file for ${formatPlatform(host.platform)}: build it from source (npm rebuild ${found.name})`;
    return [{ ...base, path: null, result: "fails", reason }];
  }
  const checked = addons.map((candidates) => {
    const reports = candidates.map((file) => checkFile(join(found.directory, file), host));
    // Loaders try the next candidate if one cannot be loaded.
    return reports.find(({ report }) => report.result !== "fails") ?? (reports[0] as CheckedFile);
  });
  const runs = checked.some(({ report }) => report.result !== "fails");
  // A file for Windows or macOS without a tag in its name counts as one for another platform if there is one for this platform.
  const own = checked.filter(({ isForOtherSystem }) => !(runs && isForOtherSystem));
  return own.map(({ report }) => ({ ...base, ...report }));
}

const NOTHING = { uvFunctions: [], unsupportedByBun: [], usesEventLoop: false } as const;

interface CheckedFile {
  report: Omit<AddonReport, "package" | "version">;
  isForOtherSystem: boolean;
}

function checkFile(path: string, host: Host): CheckedFile {
  let elf: ElfFile;
  try {
    elf = readAddonFile(path);
  } catch (error) {
    const { message } = error as Error;
    const reason = error instanceof ElfError ? message.slice(path.length + 1) : message;
    return { report: { path, ...NOTHING, result: "fails", reason }, isForOtherSystem: isForOtherSystem(error) };
  }
  const imports = [...elf.imports, ...elf.weakImports];
  const { functions: uvFunctions, required, unsupportedByBun } = addonNeeds(elf, host.bun);
  const usesEventLoop = imports.includes("napi_get_uv_event_loop");
  const reason =
    libcProblem(elf, host) ??
    v8Problem(elf, host.bun) ??
    runProblem(elf) ??
    nodeApiProblem(elf, host) ??
    libuvProblem(required, unsupportedByBun, host);
  const result = reason !== undefined ? "fails" : unsupportedByBun.length > 0 ? "with-libuv" : "plain-bun";
  const report = { path, uvFunctions, unsupportedByBun, usesEventLoop, result, reason: reason ?? null } as const;
  return { report, isForOtherSystem: false };
}

/** Returns why an addon built for another C library cannot run: it fails to load, or loads a second C library. */
function libcProblem({ needed }: ElfFile, { bun, platform }: Host): string | undefined {
  const forMusl = needed.some((name) => name.startsWith("libc.musl-"));
  const loader = needed.find((name) => name.startsWith("ld-linux-"));
  const cannotLoad =
    bun.libc === "glibc"
      ? forMusl
      : loader !== undefined && !existsSync(`/lib/${loader}`) && !existsSync(`/lib64/${loader}`);
  if (!cannotLoad) return undefined;
  return `was built for ${forMusl ? "musl" : "glibc"}, but this is ${formatPlatform(platform)}: reinstall its package on this machine`;
}

function nodeApiProblem({ imports }: ElfFile, { bun }: Host): string | undefined {
  const missing = imports.filter((name) => /^(?:napi|node_api|node_module)_/.test(name) && !bun.exports(name));
  if (missing.length === 0) return undefined;
  return `needs ${list(missing)}, which Bun ${process.versions.bun} doesn't provide: use a newer Bun`;
}

function libuvProblem(
  required: readonly string[],
  unsupportedByBun: readonly string[],
  host: Host,
): string | undefined {
  if (unsupportedByBun.length === 0) return undefined;
  if (host.libuv === undefined) return `needs libuv, ${host.libuvProblem}`;
  const missing = required.filter((name) => !host.libuvExports(name)); // all of them are rebound
  if (missing.length === 0) return undefined;
  return `needs ${list(missing)}, which ${host.libuv.path} doesn't provide: install a newer libuv, or set ${LIBUV_VARIABLE} to its path`;
}

const MAX_LISTED = 3;

function list(names: readonly string[]): string {
  const more = names.length - MAX_LISTED;
  return more > 0 ? `${names.slice(0, MAX_LISTED).join(", ")} and ${more} more` : names.join(", ");
}
