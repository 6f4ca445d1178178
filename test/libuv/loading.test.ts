// How addons are loaded: each way to load one, how it may be linked, what is left alone, and bad files.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { findLibuv } from "../../src/libuv/find-libuv.ts";
import {
  addonEnvironment,
  addonFolder,
  buildAddon,
  bunCommand,
  libuvModule,
  removeAddonFolder,
  type Result,
  runBun,
  runCommand,
  unavailable,
  writeProgram,
} from "../support/native-addon.ts";
import { linkPackage } from "../support/link-package.ts";
import { endPrograms, root, run } from "../support/programs.ts";
import { canTrace } from "../support/strace.ts";

setDefaultTimeout(60_000);
afterAll(endPrograms);
afterAll(removeAddonFolder);

/** Uses a timer, the thread pool and a poll of an addon. Bun has no poll, so that this ends plain Bun. */
const USE = `
const timer = addon.timer(() => {
  addon.close(timer);
  const poll = addon.poll(() => { addon.close(poll); addon.queueWork(() => console.log("works")); }, addon.socketPair() % 65536, 2);
}, 1, 0);
`;
const REQUIRE = `const addon = require(process.env.ADDON);`;
const WORKS = { stdout: "works\n", stderr: "", code: 0 };

/** The ends of the segments that are loaded, as offsets in the file. */
function segmentEnds(elf: Buffer): number[] {
  const [start, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  const headers = Array.from({ length: count }, (_, i) => elf.subarray(start + i * size));
  const loaded = headers.filter((header) => header.readUInt32LE(0) === 1 /* PT_LOAD */);
  return loaded.map((header) => Number(header.readBigUInt64LE(8) + header.readBigUInt64LE(32)));
}

/** Creates a project whose package `native-thing` contains the addon. */
function createProject(name: string): string {
  const folder = join(addonFolder(), name);
  const dependency = join(folder, "node_modules", "native-thing");
  mkdirSync(join(dependency, "build", "Release"), { recursive: true });
  copyFileSync(buildAddon("addon"), join(dependency, "build", "Release", "thing.node"));
  writeFileSync(join(dependency, "package.json"), `{ "name": "native-thing", "version": "1.0.0", "main": "index.js" }`);
  writeFileSync(join(dependency, "index.js"), `module.exports = require("./build/Release/thing.node");`);
  linkPackage(join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), `{ "name": "project", "dependencies": { "native-thing": "*" } }`);
  return folder;
}

/** Runs a command in a folder. */
function runIn(cwd: string, command: string[]): Promise<Result> {
  return run(command, { cwd, env: addonEnvironment() });
}

describe.skipIf(unavailable !== "")(`ways to load an addon ${unavailable}`, () => {
  test.each([
    ["require", REQUIRE],
    ["createRequire", `const addon = require("node:module").createRequire(__filename)(process.env.ADDON);`],
    [
      "process.dlopen",
      `const target = { exports: {} }; process.dlopen(target, process.env.ADDON); const addon = target.exports;`,
    ],
    [
      "process.dlopen with flags",
      `const target = { exports: {} }; process.dlopen(target, process.env.ADDON, require("os").constants.dlopen.RTLD_NOW); const addon = target.exports;`,
    ],
    ["require, twice", `require(process.env.ADDON); delete require.cache[process.env.ADDON]; ${REQUIRE}`],
    ["the preload twice", `require(${JSON.stringify(libuvModule)}); ${REQUIRE}`],
  ])("%s", async (_, code) => {
    expect(await runBun(writeProgram(code + USE))).toEqual(WORKS);
  });

  // Bun evaluates a CommonJS package that is imported statically before all ES modules, so that it is too early for an import.
  test.each([
    [
      "createRequire",
      `import { createRequire } from "node:module"; const addon = createRequire(import.meta.url)("native-thing");`,
    ],
    ["require", `const addon = require("native-thing");`],
    ["a dynamic import", `const { default: addon } = await import("native-thing");`],
  ])("an import of the module before %s, without --preload", async (how, code) => {
    const project = createProject(`before-${how.replaceAll(" ", "-")}`);
    writeFileSync(join(project, "app.ts"), `import "epoll-hello/libuv"; ${code} ${USE}`);
    expect(await runIn(project, ["bun", "app.ts"])).toEqual(WORKS);
  });

  test("a static import of a package that requires an addon, with --preload", async () => {
    const project = createProject("preload-option");
    writeFileSync(join(project, "app.ts"), `import addon from "native-thing"; ${USE}`);
    expect(await runIn(project, ["bun", "--preload", "epoll-hello/libuv", "app.ts"])).toEqual(WORKS);
  });

  test("a static import of a package that requires an addon, with preload in bunfig.toml", async () => {
    const project = createProject("preload-bunfig");
    writeFileSync(join(project, "app.ts"), `import * as addon from "native-thing"; ${USE}`);
    writeFileSync(join(project, "bunfig.toml"), `preload = ["epoll-hello/libuv"]`);
    expect(await runIn(project, ["bun", "app.ts"])).toEqual(WORKS);
  });

  test("a dynamic import", async () => {
    const project = createProject("dynamic-import");
    writeFileSync(join(project, "app.mts"), `const { default: addon } = await import("native-thing"); ${USE}`);
    expect(await runIn(project, ["bun", "--preload", "epoll-hello/libuv", "app.mts"])).toEqual(WORKS);
  });

  test("two copies of the package, of which one replaces process.dlopen", async () => {
    const copy = join(addonFolder(), "copy");
    for (const name of ["src", "native"]) cpSync(join(root, name), join(copy, name), { recursive: true });
    const program = writeProgram(`
      const load = process.dlopen;
      const other = require(${JSON.stringify(join(copy, "src/libuv/index.ts"))});
      console.log(process.dlopen === load, other.loadedAddons().length);
      ${REQUIRE}
      ${USE}
      console.log(other.loadedAddons().length, require(${JSON.stringify(libuvModule)}).loadedAddons().length);`);
    const { stdout, code } = await runBun(program, { ADDON: buildAddon("addon") });
    expect({ stdout, code }).toEqual({ stdout: "true 0\n1 1\nworks\n", code: 0 });
  });

  test("a program that was built with bun build --compile and contains the addon", async () => {
    const project = createProject("compiled");
    const code = `import "epoll-hello/libuv"; const addon = require("./node_modules/native-thing/build/Release/thing.node"); ${USE}`;
    writeFileSync(join(project, "app.ts"), code);
    const built = await runIn(project, ["bun", "build", "--compile", "app.ts", "--outfile", "app"]);
    expect(built.code, built.stderr).toBe(0);
    expect(await runIn(project, [join(project, "app")])).toEqual(WORKS);
  });

  test("bun test with --preload, and several test files", async () => {
    const project = createProject("bun-test");
    const file = `
      import { test } from "bun:test";
      import addon from "native-thing";
      for (const name of ["first", "second"]) {
        test(name, async () => {
          await new Promise((resolve) => { const timer = addon.timer(() => { addon.close(timer); resolve(); }, 5, 0); });
          await new Promise((resolve) => addon.queueWork(resolve));
        });
      }`;
    for (const name of ["a", "b"]) writeFileSync(join(project, `${name}.test.js`), file);
    const result = await runIn(project, ["bun", "test", "--preload", "epoll-hello/libuv"]);
    expect(result.stderr).toContain(" 4 pass\n");
    expect(result.code).toBe(0);
  });

  test("bun --hot, which evaluates the modules again", async () => {
    const code = `
      const n = (globalThis.n = (globalThis.n ?? 0) + 1);
      ${REQUIRE}
      const timer = addon.timer(() => {
        addon.close(timer);
        addon.queueWork(() => {
          console.log("generation", n);
          if (n === 3) process.exit();
          // Bun may not have begun to watch the file yet.
          setInterval(() => { if (globalThis.n === n) require("fs").appendFileSync(__filename, "\\n"); }, 100);
        });
      }, 1, 0);`;
    const program = writeProgram(code);
    const { stdout, code: exitCode } = await runCommand(["bun", "--hot", "--preload", libuvModule, program]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("generation 1\ngeneration 2\ngeneration 3\n");
  });

  test("the module reports what it has loaded", async () => {
    const code = `
      const { loadedAddons, libuvVersion, libuvPath, hasActiveHandles } = require(${JSON.stringify(libuvModule)});
      console.log(loadedAddons().length, hasActiveHandles());
      ${REQUIRE}
      const [{ path, functions }, ...others] = loadedAddons();
      console.log(path === process.env.ADDON, others.length, functions.includes("uv_poll_init"), functions.length > 20);
      console.log(addon.version() === libuvVersion(), /\\/libuv\\.so/.test(libuvPath()));
      console.log(hasActiveHandles());
      const timer = addon.timer(() => {}, 1000, 0);
      console.log(hasActiveHandles());
      addon.unref(timer);
      console.log(hasActiveHandles());
      process.exit();`;
    const { stdout } = await runBun(writeProgram(code));
    expect(stdout.split("\n")).toEqual(["0 false", "true 0 true true", "true true", "false", "true", "false", ""]);
  });
});

const MAPS = `const maps = () => require("fs").readFileSync("/proc/self/maps", "utf8");`;
const MODULE = `const libuv = require(${JSON.stringify(libuvModule)});`;

describe.skipIf(unavailable !== "")(`what is left alone ${unavailable}`, () => {
  test.each(["plain", "implemented"])("the addon %s, for which Bun has all functions", async (name) => {
    const code = `${MODULE} ${MAPS} console.log(require(process.env.ADDON), libuv.loadedAddons(), /libuv\\.so/.test(maps()));`;
    const result = await runBun(writeProgram(code), { ADDON: buildAddon(name) });
    expect(result).toEqual({ stdout: "42 [] false\n", stderr: "", code: 0 });
  });

  test("a program without addons opens nothing", async () => {
    const code = `${MODULE} ${MAPS} console.log(libuv.loadedAddons(), libuv.hasActiveHandles(), /libuv\\.so/.test(maps()));`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "[] false false\n", stderr: "", code: 0 });
  });

  test("EPOLL_HELLO_LIBUV=off leaves plain Bun", async () => {
    const code = `
      ${MODULE}
      console.log(process.dlopen.toString().includes("[native code]"), libuv.loadedAddons());
      console.log(require(process.env.ADDON));`;
    const env = { EPOLL_HELLO_LIBUV: "off", ADDON: buildAddon("plain") };
    expect(await runBun(writeProgram(code), env)).toEqual({ stdout: "true []\n42\n", stderr: "", code: 0 });
    const failed = await runBun(writeProgram(REQUIRE + USE + `addon.poll(() => {}, 0, 1);`), {
      EPOLL_HELLO_LIBUV: "off",
    });
    expect(failed.stderr).toContain("unsupported uv function");
    expect(failed.code).not.toBe(0);
  });

  test("an error of Bun for a file that does not exist, or is not an addon", async () => {
    const library = buildAddon("library", [], "library-only.node");
    const code = (path: string): string =>
      `try { process.dlopen({ exports: {} }, ${JSON.stringify(path)}); } catch (error) { console.log(error.message); }`;
    for (const path of ["/nonexistent/addon.node", library]) {
      const [plain, preloaded] = await Promise.all([
        runCommand(["bun", writeProgram(code(path))]),
        runBun(writeProgram(code(path))),
      ]);
      expect(preloaded).toEqual(plain);
      expect(plain.stdout).toContain(path === library ? "napi_register_module_v1" : "nonexistent");
    }
  });
});

/** Prints the parts of the read-only memory after relocation (PT_GNU_RELRO) that are writable, and whether there are any such parts. */
const RELRO = `
const fs = require("fs");
const writable = (path, where = path) => {
  const regions = fs.readFileSync("/proc/self/maps", "utf8").split("\\n").map((line) => /^(\\w+)-(\\w+) (\\S+) (\\w+) \\S+ \\d+ *(.*)$/.exec(line)).filter(Boolean)
    .map(([, start, end, mode, , name]) => ({ start: parseInt(start, 16), end: parseInt(end, 16), mode, name }));
  const base = regions.find(({ name }) => name === where).start;
  const elf = fs.readFileSync(path), found = [];
  const start = Number(elf.readBigUInt64LE(32)), count = elf.readUInt16LE(56);
  let first, relro;
  for (let i = 0; i < count; i++) {
    const at = start + i * 56, address = Number(elf.readBigUInt64LE(at + 16));
    if (elf.readUInt32LE(at) === 1) first ??= address;
    if (elf.readUInt32LE(at) === 0x6474e552) relro = [address, address + Number(elf.readBigUInt64LE(at + 40))];
  }
  if (!relro) return "none";
  const page = 4096, delta = base - Math.floor(first / page) * page;
  const from = relro[0] + delta, to = Math.floor((relro[1] + delta) / page) * page;
  if (to <= from) return "none";
  return regions.filter((region) => region.start < to && region.end > from && region.mode.includes("w")).length;
};
`;

describe.skipIf(unavailable !== "")(`how an addon is linked ${unavailable}`, () => {
  test.each([
    ["lazily", ["-Wl,-z,lazy"]],
    ["with -z now", ["-Wl,-z,now"]],
    ["with full RELRO", ["-Wl,-z,now", "-Wl,-z,relro"]],
    ["with partial RELRO", ["-Wl,-z,lazy", "-Wl,-z,relro"]],
    ["without RELRO", ["-Wl,-z,norelro"]],
    ["without a PLT", ["-fno-plt", "-Wl,-z,relro"]],
    ["with --hash-style=sysv", ["-Wl,--hash-style=sysv"]],
    ["with --hash-style=gnu", ["-Wl,--hash-style=gnu"]],
    ["without sections", ["-s"]],
    ["with -Bsymbolic", ["-Wl,-Bsymbolic"]],
    ["with optimization", ["-O3", "-Wl,-O1", "-Wl,--as-needed"]],
    ["for 64 KiB pages", ["-Wl,-z,max-page-size=65536", "-Wl,-z,now"]],
    ["against libuv, if it has a library to link with", ["-Wl,--no-as-needed", "-l:libuv.so.1"]],
  ])("%s", async (_, flags) => {
    const name = `${flags.join("").replaceAll(/[^a-z0-9]/gi, "")}.node`;
    const result = await runBun(writeProgram(REQUIRE + USE), { ADDON: buildAddon("addon", flags, name) });
    expect(result).toEqual(WORKS);
  });

  test("references in read-only memory are changed, and the memory is read-only again", async () => {
    const ADDON = buildAddon("addon", ["-Wl,-z,now", "-Wl,-z,relro"], "relro.node");
    const code = `
      ${RELRO} ${REQUIRE} ${MODULE}
      console.log(writable(process.env.ADDON), writable(fs.realpathSync(libuv.libuvPath())));
      const before = writable(process.execPath);
      console.log(before === "none" || before === 0);
      ${USE}`;
    expect(await runBun(writeProgram(code), { ADDON })).toEqual({
      stdout: "0 0\ntrue\nworks\n",
      stderr: "",
      code: 0,
    });
  });

  test("an addon that registers itself in an ELF constructor", async () => {
    const code = `${MODULE} console.log(require(process.env.ADDON).version === libuv.libuvVersion());`;
    const result = await runBun(writeProgram(code), { ADDON: buildAddon("constructor") });
    expect(result).toEqual({ stdout: "true\n", stderr: "", code: 0 });
  });

  test("an addon that looks up its own path", async () => {
    const ADDON = buildAddon("own-path", [], "a folder/own path.node");
    const result = await runBun(writeProgram(`console.log(require(process.env.ADDON));`), { ADDON });
    expect(result).toEqual({ stdout: `${ADDON}\n`, stderr: "", code: 0 });
  });

  test.each([
    ["that uses libuv, too", ["-DUSES_LIBUV"]],
    ["that does not use libuv itself", []],
  ])("an addon %s, whose library at $ORIGIN does", async (_, defines) => {
    const folder = `origin${defines.length}`;
    const library = buildAddon("library", ["-Wl,-soname,libfixture.so"], `${folder}/lib/libfixture.so`);
    const flags = [...defines, `-L${dirname(library)}`, "-lfixture", "-Wl,-rpath,$ORIGIN/lib", "-Wl,--no-as-needed"];
    const ADDON = buildAddon("with-library", flags, `${folder}/with-library.node`);
    const code = `${MODULE} console.log(require(process.env.ADDON) === libuv.libuvVersion());`;
    expect(await runBun(writeProgram(code), { ADDON })).toEqual({ stdout: "true\n", stderr: "", code: 0 });
  });

  test("a symbolic link, and a relative path", async () => {
    const path = join(addonFolder(), "link.node");
    symlinkSync(buildAddon("addon"), path);
    expect(await runBun(writeProgram(REQUIRE + USE), { ADDON: path })).toEqual(WORKS);
    const relative = writeProgram(`const addon = require("./addon.node"); ${USE}`);
    expect(await runBun(relative)).toEqual(WORKS);
  });
});

/** Loads a bad file, prints the error, and then loads a good addon. */
const LOAD_BAD = `
try { require(process.env.BAD); console.log("loaded"); } catch (error) { console.log(error instanceof Error, error.message); }
${REQUIRE}${USE}`;

async function loadBad(bad: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout, stderr, code } = await runBun(writeProgram(LOAD_BAD), { BAD: bad, ...env });
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  const lines = stdout.split("\n");
  expect(lines.slice(-2)).toEqual(["works", ""]);
  const message = lines.slice(0, -2).join("\n");
  expect(message).toStartWith("true ");
  return message.slice("true ".length);
}

function writeBad(name: string, bytes: string | Uint8Array): string {
  const path = join(addonFolder(), name);
  writeFileSync(path, bytes);
  return path;
}

describe.skipIf(unavailable !== "")(`bad files ${unavailable}`, () => {
  const changed = (name: string, change: (bytes: Buffer) => void): string => {
    const bytes = Buffer.from(readFileSync(buildAddon("addon")));
    change(bytes);
    return writeBad(name, bytes);
  };
  test.each([
    ["empty", () => writeBad("empty.node", ""), "is empty"],
    ["a text file", () => writeBad("text.node", "hello\n"), "is not an ELF file"],
    ["a file for Windows", () => writeBad("windows.node", "MZ\0\0"), "built for Windows"],
    ["a file for macOS", () => writeBad("macos.node", Uint8Array.of(0xcf, 0xfa, 0xed, 0xfe, 0)), "built for macOS"],
    ["32-bit", () => changed("32-bit.node", (bytes) => bytes.writeUInt8(1, 4)), "32-bit"],
    ["big-endian", () => changed("big-endian.node", (bytes) => bytes.writeUInt8(2, 5)), "big-endian"],
    [
      "for another architecture",
      () => changed("foreign.node", (bytes) => bytes.writeUInt16LE(243, 18)),
      "built for riscv64",
    ],
    ["an executable", () => changed("executable.node", (bytes) => bytes.writeUInt16LE(2, 16)), "executable"],
    [
      "without a dynamic section",
      () =>
        changed("static.node", (bytes) => {
          for (let i = 0; i < bytes.readUInt16LE(56); i++) {
            const at = Number(bytes.readBigUInt64LE(32)) + i * 56;
            if (bytes.readUInt32LE(at) === 2) bytes.writeUInt32LE(0, at);
          }
        }),
      "dynamic",
    ],
  ])("%s", async (_, create, message) => {
    const bad = create();
    const text = await loadBad(bad);
    expect(text).toContain(bad);
    expect(text).toContain(message);
  });

  test("a directory", async () => {
    const bad = join(addonFolder(), "directory.node");
    mkdirSync(bad, { recursive: true });
    const { stdout } = await runBun(
      writeProgram(LOAD_BAD.replace("require(process.env.BAD)", "process.dlopen({ exports: {} }, process.env.BAD)")),
      { BAD: bad },
    );
    expect(stdout).toContain(bad);
    expect(stdout).toEndWith("works\n");
  });

  test("truncated at any length", async () => {
    const bytes = readFileSync(buildAddon("addon"));
    const folder = join(addonFolder(), "truncated");
    mkdirSync(folder, { recursive: true });
    const lengths: number[] = [];
    for (let length = 0; length < bytes.length; length += Math.max(1, Math.floor(length / 24))) lengths.push(length);
    for (const length of lengths) writeFileSync(join(folder, `${length}.node`), bytes.subarray(0, length));
    const code = `
      const lengths = ${JSON.stringify(lengths)}, loaded = [];
      for (const length of lengths) {
        const path = process.env.FOLDER + "/" + length + ".node";
        try { require(path); loaded.push(length); } catch (error) { if (!(error instanceof Error) || !error.message.includes(path)) console.log(length, error); }
      }
      console.log(JSON.stringify(loaded));
      ${REQUIRE}${USE}`;
    const { stdout, stderr, code: exitCode } = await runBun(writeProgram(code), { FOLDER: folder });
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const [loaded = "", works] = stdout.split("\n");
    expect(works).toBe("works");
    // What follows the last segment, such as the section headers, is not needed.
    const end = Math.max(...segmentEnds(bytes));
    expect((JSON.parse(loaded) as number[]).filter((length) => length < end)).toEqual([]);
  });

  test("functions that libuv does not have", async () => {
    const bad = buildAddon("missing");
    const message = await loadBad(bad);
    expect(message).toContain(`${bad} needs uv_does_not_exist, uv_nor_does_this, which libuv `);
    expect(message).toContain("Install a newer libuv");
  });

  test("weak functions that libuv does not have are none of the addon's needs", async () => {
    const ADDON = buildAddon("missing", ["-DIS_WEAK"], "weak.node");
    const result = await runBun(writeProgram(`console.log(require(process.env.ADDON));`), { ADDON });
    expect(result).toEqual({ stdout: "42\n", stderr: "", code: 0 });
  });

  const libuvNames = new Set(findLibuv(bunSymbols().libc)?.exports);
  const stub = bunSymbols().names.find((name) => bunSymbols().isStub(name) && !libuvNames.has(name));
  test.skipIf(stub === undefined)("a weak function that only Bun exports, as a stub", async () => {
    const ADDON = buildAddon("missing", ["-DIS_WEAK", `-DSTUB=${stub}`], "weak-stub.node");
    const result = await runBun(writeProgram(`console.log(require(process.env.ADDON));`), { ADDON });
    expect(result).toEqual({ stdout: "42\n", stderr: "", code: 0 });
  });

  test("an addon is loaded at the limit of file descriptors, or the attempt can be repeated", async () => {
    const code = `
      const { openSync, closeSync, readdirSync } = require("node:fs");
      const fill = () => { const fds = []; try { for (;;) fds.push(openSync("/dev/null")); } catch {} return fds; };
      const errors = [];
      let addon;
      for (let free = 0; addon === undefined && free < 60; free++) {
        const fds = fill();
        for (const fd of fds.splice(0, free)) closeSync(fd);
        try { addon = require(process.env.ADDON); } catch (error) { errors.push(error.code); }
        for (const fd of fds) closeSync(fd);
      }
      console.log(errors.includes("EMFILE"));
      const timer = addon.timer(() => { console.log("fired"); addon.close(timer); }, 1, 0);`;
    const limited = `ulimit -n 100; exec "$0" "$@"`;
    const result = await runCommand(["sh", "-c", limited, ...bunCommand(writeProgram(code))]);
    expect(result).toEqual({ stdout: "true\nfired\n", stderr: "", code: 0 });
  });

  test("V8's C++ interface", async () => {
    const bad = buildAddon("v8");
    const message = await loadBad(bad);
    expect(message).toContain(bad);
    expect(message).toContain("V8's C++ API, of which Bun doesn't provide one function");
    expect(message).toContain("v8::Isolate::EpollHelloMissing");
  });

  test("an addon that runs Node's event loop, as deasync does", async () => {
    const bad = buildAddon("v8", ["-DRUNS_LOOP"], "runs-loop.node");
    expect(await loadBad(bad)).toContain(`${bad} runs Node's event loop inside a function call (uv_run)`);
  });

  test("a library that is missing", async () => {
    const library = buildAddon("library", ["-Wl,-soname,libgone.so"], "gone/libgone.so");
    const flags = ["-DUSES_LIBUV", `-L${dirname(library)}`, "-lgone", "-Wl,--no-as-needed"];
    const bad = buildAddon("with-library", flags, "without-library.node");
    expect(await loadBad(bad)).toContain("libgone.so");
  });

  test.each([
    [
      "a file that does not exist",
      "/nonexistent/libuv.so.1",
      /cannot open libuv.*\/nonexistent\/libuv\.so\.1.*(install|run )/s,
    ],
    ["another library", "libm.so.6", /libm\.so\.6 is not libuv, or too old: it has no function uv_version_string/],
    ["a text file", "/etc/passwd", /cannot open libuv.*\/etc\/passwd/s],
    ["a directory", "/tmp", /cannot open libuv.*\/tmp/s],
  ])("EPOLL_HELLO_LIBUV names %s", async (_, file, message) => {
    const code = `
      ${MODULE}
      for (let i = 0; i < 2; i++) {
        try { require(process.env.ADDON); } catch (error) { console.log(error.message); }
        try { libuv.libuvVersion(); } catch (error) { console.log(error.message); }
      }
      console.log(require(process.env.PLAIN));
      setTimeout(() => console.log("end"), 1);`;
    const env = { EPOLL_HELLO_LIBUV: file, PLAIN: buildAddon("plain") };
    const { stdout, stderr, code: exitCode } = await runBun(writeProgram(code), env);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.slice(4)).toEqual(["42", "end"]);
    for (const line of lines.slice(0, 4)) expect(line).toMatch(message);
  });

  test("EPOLL_HELLO_LIBUV names a copy of libuv", async () => {
    const { stdout: path } = await runBun(writeProgram(`${MODULE} console.log(libuv.libuvPath());`));
    const copy = join(addonFolder(), "my-libuv.so");
    copyFileSync(path.trim(), copy);
    chmodSync(copy, 0o755);
    const code = `${MODULE} console.log(libuv.libuvPath()); ${REQUIRE} ${USE}`;
    const result = await runBun(writeProgram(code), { EPOLL_HELLO_LIBUV: copy });
    expect(result).toEqual({ stdout: `${copy}\nworks\n`, stderr: "", code: 0 });
  });
});

/** The files that a program creates, writes or removes, as strace shows the calls. */
async function tracedWrites(command: string[]): Promise<string[]> {
  const log = join(addonFolder(), `calls-${crypto.randomUUID()}.txt`);
  const calls =
    "open openat creat mkdir mkdirat rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat truncate";
  // A call that the architecture lacks is ignored with "?".
  const trace = calls.split(" ").map((call) => `?${call}`);
  const result = await runCommand(["strace", "-f", "-o", log, "-e", `trace=${trace.join(",")}`, ...command]);
  expect(result.stdout).toBe("works\n");
  return readFileSync(log, "utf8")
    .split("\n")
    .map((line) =>
      line
        .replace(/^\d+ +/, "")
        .replace(/openat\(\d+/, "openat(N")
        .replace(/ = \d+$/, ""),
    )
    .filter((line) =>
      /^open(at)?\(.*O_(CREAT|WRONLY|RDWR|TMPFILE)|^(creat|mkdir|rename|link|symlink|unlink|truncate)/.test(line),
    )
    .filter((line) => !/"\/(dev|proc)\//.test(line));
}

describe.skipIf(unavailable !== "" || !canTrace)("the disk", () => {
  test("no file is written, except by Bun's compiler", async () => {
    // Bun writes the headers of its compiler to a temporary folder when a program first uses it.
    const source = writeProgram("int f(void) { return 1; }", "compiled.c");
    const compiler = `
      const { cc } = require("bun:ffi");
      cc({ source: ${JSON.stringify(source)}, flags: ["-nostdlib", "-nostdinc"], symbols: { f: { args: [], returns: "int" } } });
      console.log("works");`;
    const ofBun = await tracedWrites([process.execPath, writeProgram(compiler)]);
    const program = writeProgram(REQUIRE + USE);
    const ours = await tracedWrites([process.execPath, "--preload", libuvModule, program]);
    expect(ours.filter((line) => !ofBun.includes(line))).toEqual([]);
  });
});

describe.skipIf(unavailable !== "")("without a place to write to", () => {
  test("no folder for temporary files", async () => {
    const nowhere = "/nonexistent";
    const env = {
      TMPDIR: nowhere,
      BUN_TMPDIR: nowhere,
      TMP: nowhere,
      TEMP: nowhere,
      HOME: nowhere,
      XDG_CACHE_HOME: nowhere,
    };
    expect(await runBun(writeProgram(REQUIRE + USE), env)).toEqual(WORKS);
  });
});
