// The platform of a prebuilt file, from the tags in its path: `linux-x64/addon.glibc.node`.

import type { BunSymbols } from "../../libuv/bun-symbols.ts";

/** What an addon must be built for. */
export interface Platform {
  os: string;
  arch: string;
  libc: "glibc" | "musl";
  /** Node's ABI version, `process.versions.modules`. Node-API addons run with any. */
  abi: string;
}

export function thisPlatform(bun: BunSymbols): Platform {
  return { os: process.platform, arch: process.arch, libc: bun.libc, abi: process.versions.modules };
}

export function formatPlatform({ os, arch, libc }: Platform): string {
  return `${os}-${arch} (${libc})`;
}

/** The tags in a file's path. A property is undefined if the path has no such tag. */
export interface PathTags {
  os: string | undefined;
  archs: readonly string[];
  libc: string | undefined;
  /** An ABI version that the loader requires to be equal. */
  abi: string | undefined;
  /** An ABI version that need not match: loaders take the highest. */
  anyAbi: number;
  isNodeApi: boolean;
  isElectron: boolean;
  /** The path without its tags: files that differ only in tags are the same addon, built for several platforms. */
  identity: string;
}

const SYSTEMS: ReadonlyMap<string, string> = new Map([
  ["linux", "linux"],
  ["linuxmusl", "linux"],
  ["darwin", "darwin"],
  ["macos", "darwin"],
  ["osx", "darwin"],
  ["win32", "win32"],
  ["windows", "win32"],
  ["win", "win32"],
  ["android", "android"],
  ["ios", "ios"],
  ["freebsd", "freebsd"],
  ["openbsd", "openbsd"],
  ["netbsd", "netbsd"],
  ["sunos", "sunos"],
  ["aix", "aix"],
  ["openharmony", "openharmony"],
]);

const ARCHS: ReadonlyMap<string, readonly string[]> = new Map([
  ["x64", ["x64"]],
  ["amd64", ["x64"]],
  ["arm64", ["arm64"]],
  ["aarch64", ["arm64"]],
  ["ia32", ["ia32"]],
  ["x86", ["ia32"]],
  ["i386", ["ia32"]],
  ["i686", ["ia32"]],
  ["arm", ["arm"]],
  ["armhf", ["arm"]],
  ["armv6", ["arm"]],
  ["armv6l", ["arm"]],
  ["armv7", ["arm"]],
  ["armv7l", ["arm"]],
  ["armv7a", ["arm"]],
  ["armv8", ["arm64", "arm"]],
  ["ppc64", ["ppc64"]],
  ["ppc64le", ["ppc64"]],
  ["s390x", ["s390x"]],
  ["riscv32", ["riscv32"]],
  ["riscv64", ["riscv64"]],
  ["riscv64gc", ["riscv64"]],
  ["loong64", ["loong64"]],
  ["loongarch64", ["loong64"]],
  ["mips", ["mips"]],
  ["mipsel", ["mips"]],
  ["mips64el", ["mips"]],
  ["universal", ["x64", "arm64"]],
]);

const LIBCS: ReadonlyMap<string, string> = new Map([
  ["glibc", "glibc"],
  ["gnu", "glibc"],
  ["gnueabihf", "glibc"],
  ["gnueabi", "glibc"],
  ["musl", "musl"],
  ["linuxmusl", "musl"],
  ["musleabihf", "musl"],
  ["musleabi", "musl"],
  ["msvc", "msvc"],
]);

/** Words that are part of a tag but select no platform. */
const NEUTRAL = /^(?:node|napi|electron|release|debug|libc|unknown|v?\d+|(?:abi|uv)\d+|)$/;

/** Returns what the path of an addon's file, relative to its package, says about the platform. */
export function parsePath(path: string): PathTags {
  const segments = path.replace(/\.node$/, "").split("/");
  const file = segments.pop() ?? "";
  const found: Found = { archs: [], anyAbi: 0, isNodeApi: false, isElectron: false };
  const names = segments.filter((segment) => !takeTags(segment, /[-_+.]/, found));
  const nameParts = file.split(".").filter((part) => !takeTags(part, /[-_+]/, found));
  return {
    os: found.os ?? (found.libc === "musl" || found.libc === "glibc" ? "linux" : undefined),
    archs: found.archs,
    libc: found.libc,
    abi: found.isNodeApi ? undefined : found.abi,
    anyAbi: found.anyAbi,
    isNodeApi: found.isNodeApi,
    isElectron: found.isElectron && !found.isNodeApi,
    identity: [...names, nameParts.join(".")].join("/"),
  };
}

interface Found {
  os?: string;
  archs: string[];
  libc?: string;
  abi?: string;
  anyAbi: number;
  isNodeApi: boolean;
  isElectron: boolean;
}

/** Records the tags of a part of a path. Returns false if the part is a name instead. */
function takeTags(part: string, separator: RegExp, found: Found): boolean {
  const words = part.toLowerCase().replaceAll("x86_64", "x64").replaceAll("x86-64", "x64").split(separator);
  const isTag = (word: string): boolean =>
    SYSTEMS.has(word) || ARCHS.has(word) || LIBCS.has(word) || NEUTRAL.test(word);
  // `better-sqlite3-v11.0.0-node-v127-linux-x64`: a name with a platform
  const hasPlatform = words.some((word) => SYSTEMS.has(word)) && words.some((word) => ARCHS.has(word));
  if (part === "" || (!words.every(isTag) && !hasPlatform)) return false;
  for (const [i, word] of words.entries()) {
    const [os, archs, libc] = [SYSTEMS.get(word), ARCHS.get(word), LIBCS.get(word)];
    if (os !== undefined) found.os ??= os;
    if (archs !== undefined) found.archs.push(...archs);
    if (libc !== undefined) found.libc ??= libc;
    if (word === "napi") found.isNodeApi = true;
    if (word === "electron") found.isElectron = true;
    const version = /^(abi|v)?(\d+)$/.exec(word);
    if (version === null) continue;
    const [, prefix, digits = ""] = version;
    if (prefix === "abi" || (prefix === "v" && words[i - 1] === "node")) found.abi ??= digits;
    else if (prefix === undefined) found.anyAbi = Math.max(found.anyAbi, Number(digits));
  }
  return true;
}

/** Returns whether a file's tags allow this platform. */
export function matchesPlatform(tags: PathTags, { os, arch, libc, abi }: Platform): boolean {
  return (
    (tags.os === undefined || tags.os === os) &&
    (tags.archs.length === 0 || tags.archs.includes(arch)) &&
    (tags.libc === undefined || tags.libc === libc) &&
    (tags.abi === undefined || tags.abi === abi) &&
    !tags.isElectron
  );
}
