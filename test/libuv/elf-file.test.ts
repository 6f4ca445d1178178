// readElfFile: real addons, files made by hand, files that are not ELF, and damaged ones.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ElfError, type ElfErrorCode, readAddonFile, readElfFile } from "../../src/libuv/elf-file.ts";
import { buildElf, EM_AARCH64, EM_HOST, EM_X86_64, type ElfParts } from "../support/elf.ts";
import { leavesNoFd } from "../support/fds.ts";
import { root } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const modules = join(root, "node_modules");
const prebuilt = (name: string, file: string): string => join(modules, name, "prebuilds", file);
const UDX = prebuilt("udx-native", "linux-x64/udx-native.node");
const SERIALPORT = prebuilt("@serialport/bindings-cpp", "linux-x64/@serialport+bindings-cpp.glibc.node");

function errorOf(read: () => unknown): ElfError {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(ElfError);
    return error as ElfError;
  }
  throw new Error("it was read");
}

const messageOf = (bytes: Uint8Array): string => errorOf(() => readAddonFile(bytes, "addon.node")).message;

test("reads what serialport's addon imports and needs, from its file and from memory", () => {
  const elf = readElfFile(SERIALPORT);
  expect(elf).toMatchObject({ machine: "x64", type: "shared object", soname: "bindings.node", path: SERIALPORT });
  expect(elf.imports.filter((name) => name.startsWith("uv_")).sort()).toEqual([
    "uv_close",
    "uv_default_loop",
    "uv_poll_init",
    "uv_poll_start",
    "uv_poll_stop",
    "uv_strerror",
    "uv_unref",
  ]);
  expect(elf.needed).toContain("libc.so.6");
  expect(elf.weakImports).toContain("__cxa_finalize");
  expect(elf.exports.length).toBeGreaterThan(100);
  expect(readElfFile(readFileSync(SERIALPORT), SERIALPORT)).toEqual(elf);
});

test("reads addons for another machine", () => {
  const elf = readElfFile(prebuilt("udx-native", "linux-arm64/udx-native.node"));
  expect(elf.machine).toBe("arm64");
  expect(elf.imports.filter((name) => name.startsWith("uv_"))).toHaveLength(37);
});

const readelf = Bun.which("readelf");
test.skipIf(readelf === null)("finds the same symbols as readelf", () => {
  for (const file of [UDX, SERIALPORT, process.execPath]) {
    const { stdout } = Bun.spawnSync([readelf ?? "", "--dyn-syms", "--wide", file]);
    const expected = stdout
      .toString()
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([number = "", , , , binding]) => /^\d+:$/.test(number) && (binding === "GLOBAL" || binding === "WEAK"))
      .map(([, address = "", , , binding, , section, name = ""]) => ({
        name: name.replace(/@.*/, ""),
        address: Number.parseInt(address, 16),
        isWeak: binding === "WEAK",
        isDefined: section !== "UND",
      }));
    expect(expected.length).toBeGreaterThan(100);
    const symbols = readElfFile(file).symbols.map(({ name, address, isWeak, isDefined }) => {
      return { name, address, isWeak, isDefined };
    });
    expect(symbols).toEqual(expected);
  }
});

test("leaves no file descriptor open, also after an error", async () => {
  const text = join(folder, "text.node");
  writeFileSync(text, "text");
  await leavesNoFd(() => {
    readElfFile(UDX);
    expect(() => readElfFile(text)).toThrow(ElfError);
  });
});

const gcc = Bun.which("gcc");
test.skipIf(gcc === null)("reads what gcc has linked, with each kind of hash table and without section headers", () => {
  const source = join(folder, "addon.c");
  writeFileSync(
    source,
    "extern int uv_run(void *, int); __attribute__((weak)) extern int maybe(void); int own(void) { return maybe ? maybe() : uv_run(0, 0); }",
  );
  const hidden = join(folder, "hidden.c");
  writeFileSync(
    hidden,
    "extern int uv_run(void *, int); __attribute__((constructor)) static void own(void) { uv_run(0, 0); }",
  );
  for (const style of ["sysv", "gnu", "both"]) {
    const file = join(folder, `${style}.node`);
    const flags = ["-shared", "-fPIC", "-nostdlib", `-Wl,--hash-style=${style},-soname,x.node,-rpath,$ORIGIN/lib`];
    expect(Bun.spawnSync([gcc ?? "", ...flags, "-o", file, source]).exitCode).toBe(0);
    const elf = readAddonFile(file);
    expect(elf).toMatchObject({
      soname: "x.node",
      runpath: "$ORIGIN/lib",
      imports: ["uv_run"],
      weakImports: ["maybe"],
    });
    expect(elf.exports).toContain("own");

    const withoutSections = readFileSync(file);
    const sections = Number(withoutSections.readBigUInt64LE(40));
    withoutSections.fill(0, 40, 48);
    withoutSections.fill(0, 58, 64);
    expect(readAddonFile(withoutSections.subarray(0, sections), file)).toEqual(elf);

    // An addon that registers itself in a constructor exports nothing: a GNU hash table does not count its imports.
    const silent = join(folder, `${style}-hidden.node`);
    expect(Bun.spawnSync([gcc ?? "", ...flags, "-o", silent, hidden]).exitCode).toBe(0);
    expect(readAddonFile(silent).imports).toEqual(["uv_run"]);
  }
});

const parts: ElfParts = {
  imports: ["uv_run", "napi_create_function"],
  weakImports: ["__gmon_start__"],
  exports: ["napi_register_module_v1"],
  needed: ["libc.so.6", "libm.so.6"],
  soname: "addon.node",
  runpath: "$ORIGIN",
};

for (const hash of ["sysv", "gnu"] as const) {
  test(`reads a file made by hand with a ${hash} hash table`, () => {
    const { exports: exported, ...rest } = parts;
    const expected = { ...rest, machine: process.arch, type: "shared object", interpreter: undefined };
    expect(readAddonFile(buildElf({ ...parts, hash }))).toMatchObject({ ...expected, exports: exported });
    expect(readAddonFile(buildElf({ ...rest, hash }))).toMatchObject({ ...expected, exports: [] });
  });
}

const foreign = EM_HOST === EM_X86_64 ? EM_AARCH64 : EM_X86_64;
const foreignArch = EM_HOST === EM_X86_64 ? "arm64" : "x64";
const set = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  bytes[at] = value;
  return bytes;
};
const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

const rejected: [what: string, bytes: () => Uint8Array, code: ElfErrorCode, message: RegExp][] = [
  ["an empty file", () => latin1(""), "ERR_NOT_ELF", /^addon\.node is empty: reinstall its package/],
  ["a Windows file", () => latin1("MZ\x90\0"), "ERR_NOT_ELF", /starts with "MZ", so it was built for Windows/],
  [
    "a macOS file",
    () => latin1("\xcf\xfa\xed\xfe\x07\0\0\x01"),
    "ERR_NOT_ELF",
    /Mach-O file, so it was built for macOS/,
  ],
  ["a universal file", () => latin1("\xca\xfe\xba\xbe\0\0\0\x02"), "ERR_NOT_ELF", /universal Mach-O .* macOS/],
  [
    "a Git LFS pointer",
    () => latin1("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"),
    "ERR_NOT_ELF",
    /is a Git LFS pointer, not the file itself: run git lfs pull/,
  ],
  [
    "a text file",
    () => latin1("module.exports = 1;\n"),
    "ERR_NOT_ELF",
    /text file that starts with "module\.exports = 1;"/,
  ],
  ["a static library", () => latin1("!<arch>\nx"), "ERR_NOT_ELF", /is a static library: link it/],
  ["other bytes", () => latin1("\x01\x02\xff\0x"), "ERR_NOT_ELF", /starts with the bytes 01 02 ff 00: reinstall/],
  ["a bare signature", () => latin1("\x7fELF"), "ERR_ELF_TRUNCATED", /describes 64 bytes, but it has 4/],
  ["half a header", () => buildElf(parts).subarray(0, 40), "ERR_ELF_TRUNCATED", /describes 64 bytes, but it has 40/],
  ["no program headers", () => buildElf(parts).subarray(0, 64), "ERR_ELF_TRUNCATED", /it has 64/],
  [
    "a missing last byte",
    () => buildElf({ ...parts, padding: 64 }).subarray(0, -1),
    "ERR_ELF_TRUNCATED",
    /truncated: .*: reinstall/,
  ],
  [
    "a 32-bit file",
    () => set(buildElf({ machine: 40 }), 4, 1),
    "ERR_ELF_FOREIGN",
    /a 32-bit file for arm, but this is 64-bit/,
  ],
  [
    "a big-endian file",
    () => set(buildElf({ machine: 22 << 8 }), 5, 2),
    "ERR_ELF_FOREIGN",
    /a big-endian file for s390x/,
  ],
  [
    "a foreign architecture",
    () => buildElf({ ...parts, machine: foreign }),
    "ERR_ELF_FOREIGN",
    new RegExp(`was built for ${foreignArch}, but this is ${process.arch}: reinstall its package on this machine$`),
  ],
  ["an unknown architecture", () => buildElf({ ...parts, machine: 999 }), "ERR_ELF_FOREIGN", /built for machine 999/],
  [
    "an executable",
    () => buildElf({ ...parts, type: 2 }),
    "ERR_ELF_NOT_ADDON",
    /an executable, not a shared object: build/,
  ],
  ["a PIE executable", () => buildElf({ ...parts, flags1: 0x08000000 }), "ERR_ELF_NOT_ADDON", /is an executable/],
  [
    "an object file",
    () => buildElf({ ...parts, type: 1 }),
    "ERR_ELF_NOT_ADDON",
    /object file that is not linked: link it/,
  ],
  ["a core dump", () => buildElf({ ...parts, type: 4 }), "ERR_ELF_NOT_ADDON", /is a core dump/],
  ["no dynamic section", () => buildElf({ ...parts, isStatic: true }), "ERR_ELF_NOT_ADDON", /has no dynamic section/],
  ["no dynamic symbols", () => buildElf(), "ERR_ELF_NOT_ADDON", /has no dynamic symbols, so it isn't a native addon/],
  ["no hash table", () => buildElf({ ...parts, hash: "none" }), "ERR_ELF_NOT_ADDON", /has no dynamic symbols/],
  [
    "symbols elsewhere",
    () => buildElf({ ...parts, dynamic: { 6: 0x900000 } }),
    "ERR_ELF_DAMAGED",
    /dynamic symbols at 0x900000/,
  ],
  [
    "huge strings",
    () => buildElf({ ...parts, dynamic: { 10: 0x900000 } }),
    "ERR_ELF_DAMAGED",
    /string table .* outside/,
  ],
  ["no strings", () => buildElf({ ...parts, dynamic: { 10: 1 } }), "ERR_ELF_DAMAGED", /the name at \d+ is outside/],
  ["large symbols", () => buildElf({ ...parts, dynamic: { 11: 32 } }), "ERR_ELF_DAMAGED", /symbols have 32 bytes each/],
  ["an impossible offset", () => buildElf({ ...parts, dynamic: { 6: 2 ** 60 } }), "ERR_ELF_DAMAGED", /the offset 0x1/],
];

for (const [what, bytes, code, message] of rejected) {
  test(`rejects ${what}, and says what to do`, () => {
    const error = errorOf(() => readAddonFile(bytes(), "addon.node"));
    expect(error.message).toMatch(message);
    expect(error.message).toStartWith("addon.node ");
    expect(error.message).toMatch(/: [a-z][^:]+$/); // the remedy
    expect(error).toMatchObject({ code, path: "addon.node" });
  });
}

test("rejects a directory, a FIFO and a truncated file on disk, and reports a missing file as Node does", () => {
  const directory = join(folder, "directory.node");
  mkdirSync(directory);
  expect(errorOf(() => readElfFile(directory)).message).toMatch(/directory\.node is a directory: pass/);
  const fifo = join(folder, "fifo.node");
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  expect(errorOf(() => readElfFile(fifo)).message).toMatch(/is not a regular file/);
  const short = join(folder, "short.node");
  writeFileSync(short, readFileSync(UDX));
  truncateSync(short, 100_000);
  expect(errorOf(() => readElfFile(short)).message).toMatch(
    /is truncated: its header describes \d+ bytes, but it has 100000/,
  );
  const missing = join(folder, "missing.node");
  expect(() => readElfFile(missing)).toThrow(expect.objectContaining({ code: "ENOENT", path: missing }));
});

test("a table of symbols that share one long name is rejected, not read for minutes", () => {
  const count = 2000;
  const names = Array.from({ length: count }, (_, i) => `s${i}`);
  const long = buildElf({ imports: ["x".repeat(200_000), ...names] });
  const first = 64 + 56 * 3 + 24; // the first symbol after the null symbol
  for (let i = 1; i <= count; i++) long.writeUInt32LE(long.readUInt32LE(first), first + 24 * i);
  expect(messageOf(long)).toMatch(/the names of its dynamic symbols overlap/);
});

// Where the tables are, so that most mutations hit one.
function tablesOf(bytes: Uint8Array): [start: number, length: number][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headers = view.getUint16(56, true);
  const tables: [number, number][] = [[0, 64 + 56 * headers]];
  for (let i = 0; i < headers; i++) {
    const header = 64 + 56 * i;
    if (view.getUint32(header, true) !== 2) continue; // PT_DYNAMIC
    tables.push([Number(view.getBigUint64(header + 8, true)), Number(view.getBigUint64(header + 32, true))]);
  }
  return [...tables, [0x200, 0x4000]]; // hash tables, symbols and strings follow the headers
}

const sources: [name: string, bytes: () => Uint8Array][] = [
  ["serialport", () => readFileSync(SERIALPORT)],
  ["udx-native", () => readFileSync(UDX)],
  ["fs-native-extensions", () => readFileSync(prebuilt("fs-native-extensions", "linux-x64/fs-native-extensions.node"))],
  ["a file with a SysV hash table", () => buildElf(parts)],
  ["a file with a GNU hash table", () => buildElf({ ...parts, hash: "gnu" })],
  ["a file that exports nothing", () => buildElf({ ...parts, exports: [], hash: "gnu" })],
];

for (const [name, read] of sources) {
  test(`random changes and truncations of ${name} end in an ElfError or a result`, () => {
    const original = read();
    const tables = tablesOf(original);
    const position = fc
      .tuple(fc.integer({ min: 0, max: tables.length - 1 }), fc.nat())
      .map(([i, n]) => ((tables[i]?.[0] ?? 0) + (n % (tables[i]?.[1] ?? 1))) % original.length);
    const value = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff));
    const changes = fc.array(fc.tuple(position, value), { maxLength: 12 });
    const length = fc.option(fc.integer({ min: 0, max: original.length }), { freq: 4 });
    fc.assert(
      fc.property(changes, length, (list, end) => {
        const bytes = Uint8Array.from(original);
        for (const [at, byte] of list) bytes[at] = byte;
        try {
          const elf = readElfFile(bytes.subarray(0, end ?? bytes.length), "addon.node");
          expect(elf.symbols.length).toBeLessThan(bytes.length / 24);
        } catch (error) {
          if (!(error instanceof ElfError)) throw error;
          expect(error.message).toStartWith("addon.node ");
        }
      }),
      { numRuns: scaled(300, name.startsWith("a file") ? 20_000 : 300) },
    );
  });
}
