// epoll-hello addons: the verdict for each kind of addon, the table, the JSON, and the exit codes.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { findLibuv } from "../../src/libuv/find-libuv.ts";
import { demangle } from "../../src/libuv/unsupported-addon.ts";
import type { AddonReport, ProjectReport } from "../../src/tools/addons/check-addons.ts";
import { buildElf, EM_AARCH64, EM_HOST, EM_X86_64 } from "../support/elf.ts";
import { cli, endPrograms, root, run } from "../support/programs.ts";
import { addonFile, otherArch, otherLibc, Project, thisLibc, thisTuple } from "../support/project.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const uvNames = bunSymbols().names.filter((name) => name.startsWith("uv_"));
let folder: string;
let libuv: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  libuv = join(folder, "libuv.so.1");
  writeFileSync(libuv, buildElf({ exports: uvNames, soname: "libuv.so.1" }));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

function command(args: readonly string[], env: Record<string, string | undefined> = {}, cwd?: string): Promise<Output> {
  const options = { env: { EPOLL_HELLO_LIBUV: libuv, ...env }, ...(cwd === undefined ? {} : { cwd }) };
  return run(["bun", cli, "addons", ...args], options);
}

async function report(project: Project, env: Record<string, string | undefined> = {}): Promise<ProjectReport> {
  const { stdout, stderr } = await command([project.directory, "--json"], env);
  expect(stderr).toBe("");
  return JSON.parse(stdout) as ProjectReport;
}

/** Checks one file in a package of its own. */
async function verdict(file: string | Uint8Array, env?: Record<string, string>): Promise<AddonReport> {
  using project = new Project();
  project.addPackage({ name: "one", version: "1.0.0" }, { "build/Release/one.node": file });
  const { addons } = await report(project, env);
  expect(addons).toHaveLength(1);
  return addons[0] as AddonReport;
}

test("libuv functions of a library beside the addon count as the addon's", async () => {
  using project = new Project();
  const addon = buildElf({ exports: ["napi_register_module_v1"], needed: ["libown.so"], runpath: "$ORIGIN/lib" });
  const library = buildElf({ imports: ["uv_poll_init"], exports: ["own"] });
  project.addPackage({ name: "one" }, { "build/Release/one.node": addon, "build/Release/lib/libown.so": library });
  expect((await report(project)).addons).toMatchObject([{ uvFunctions: ["uv_poll_init"], result: "with-libuv" }]);
});

test("an addon can do without weak functions that neither Bun nor libuv has", async () => {
  const file = buildElf({ imports: ["uv_poll_init"], weakImports: ["uv_none"], exports: ["napi_register_module_v1"] });
  expect(await verdict(file)).toMatchObject({ uvFunctions: ["uv_none", "uv_poll_init"], result: "with-libuv" });
});

test("an addon that runs Node's event loop doesn't run", async () => {
  const { result, reason } = await verdict(addonFile(["uv_run", "_ZN4node19GetCurrentEventLoopEPN2v87IsolateE"]));
  expect(result).toBe("fails");
  expect(reason).toStartWith("runs Node's event loop inside a function call (uv_run)");
});

test("an addon without uv functions runs on plain Bun", async () => {
  expect(await verdict(addonFile())).toMatchObject({
    uvFunctions: [],
    usesEventLoop: false,
    result: "plain-bun",
    reason: null,
  });
});

test("an addon whose uv functions Bun implements runs on plain Bun, without libuv", async () => {
  const file = addonFile(["uv_queue_work", "napi_get_uv_event_loop"]);
  expect(await verdict(file, { EPOLL_HELLO_LIBUV: import.meta.path })).toEqual({
    package: "one",
    version: "1.0.0",
    path: expect.stringMatching(/node_modules\/one\/build\/Release\/one\.node$/),
    uvFunctions: ["uv_queue_work"],
    unsupportedByBun: [],
    usesEventLoop: true,
    result: "plain-bun",
    reason: null,
  });
});

test("an addon with one function that ends plain Bun needs libuv, also if the import is weak", async () => {
  const expected = {
    uvFunctions: ["uv_close", "uv_poll_init"],
    unsupportedByBun: ["uv_poll_init"],
    result: "with-libuv",
  };
  expect(await verdict(addonFile(["uv_poll_init", "uv_close"]))).toMatchObject(expected);
  expect(await verdict(addonFile(["uv_close"], { weakImports: ["uv_poll_init"] }))).toMatchObject(expected);
});

test("an addon that contains libuv needs none", async () => {
  const file = addonFile([], { exports: ["napi_register_module_v1", "uv_poll_init"] });
  expect(await verdict(file)).toMatchObject({ uvFunctions: [], result: "plain-bun" });
});

const fails: [what: string, file: () => string | Uint8Array, reason: RegExp][] = [
  [
    "V8's C++ API",
    () => addonFile(["_ZN2v85Thing4GoneEv", "_ZNK2v85Thing5OtherEv", "_ZN4node4GoneEv"]),
    /^uses V8's C\+\+ API, of which Bun doesn't provide 3 functions that it needs, such as v8::Thing::Gone: use a version/,
  ],
  [
    "a Node-API function of the future",
    () => addonFile(["node_api_future"]),
    /^needs node_api_future, which Bun .* doesn't provide: use a newer/,
  ],
  [
    "uv functions that no file provides",
    () => addonFile(["uv_a", "uv_b", "uv_c", "uv_d", "uv_e"]),
    /^needs uv_a, uv_b, uv_c and 2 more, which .*libuv\.so\.1 doesn't provide: install a newer libuv, or set EPOLL_HELLO_LIBUV to its path/,
  ],
  [
    "a foreign architecture",
    () => addonFile([], { machine: EM_HOST === EM_X86_64 ? EM_AARCH64 : EM_X86_64 }),
    new RegExp(`^was built for ${otherArch}, but this is ${process.arch}: reinstall`),
  ],
  [
    "another C library",
    () => addonFile([], { needed: ["libc.musl-x86_64.so.1", "ld-linux-nowhere.so.9"] }),
    /^was built for musl, but this is linux-|^was built for glibc, but this is/,
  ],
  [
    "a Windows file",
    () => "MZ\x90",
    /^is not an ELF file: it starts with "MZ", so it was built for Windows: reinstall/,
  ],
  ["an empty file", () => "", /^is empty: reinstall/],
  [
    "a Git LFS pointer",
    () => "version https://git-lfs.github.com/spec/v1\n",
    /^is not an ELF file: it is a Git LFS pointer/,
  ],
  ["a truncated file", () => addonFile([], { padding: 100 }).subarray(0, -1), /^is truncated: its header describes/],
  ["an executable", () => addonFile([], { type: 2 }), /^is an executable, not a shared object/],
  ["a file without symbols", () => buildElf(), /^has no dynamic symbols/],
];

for (const [what, file, reason] of fails) {
  test(`does not run: ${what}`, async () => {
    expect(await verdict(file())).toMatchObject({ result: "fails", reason: expect.stringMatching(reason) });
  });
}

test("V8 functions that Bun provides are no obstacle", async () => {
  const provided = bunSymbols()
    .names.filter((name) => name.startsWith("_ZN2v8"))
    .slice(0, 20);
  expect(provided.length).toBeGreaterThan(0);
  expect(await verdict(addonFile([...provided, "node_module_register"]))).toMatchObject({ result: "plain-bun" });
});

test("names V8's functions as in C++", () => {
  expect(demangle("_ZN2v87Context6GlobalEv")).toBe("v8::Context::Global");
  expect(demangle("_ZNK2v85Value10IsFunctionEv")).toBe("v8::Value::IsFunction");
  expect(demangle("_ZN2v811HandleScopeC1EPNS_7IsolateE")).toBe("v8::HandleScope::HandleScope");
  expect(demangle("_ZTVN4node10ObjectWrapE")).toBe("node::ObjectWrap");
  for (const odd of ["_ZN", "_ZN999999v8", "", "uv_run"]) expect(demangle(odd)).toBe(odd);
});

test("a libuv that is not libuv is named in the reason, with the variable", async () => {
  const file = addonFile(["uv_poll_init"]);
  const other = join(folder, "libother.so");
  writeFileSync(other, buildElf({ exports: ["other"] }));
  expect((await verdict(file, { EPOLL_HELLO_LIBUV: other })).reason).toMatch(
    /^needs libuv, but .*libother\.so isn't libuv: it has no function uv_run; correct EPOLL_HELLO_LIBUV, or unset it$/,
  );
  expect((await verdict(file, { EPOLL_HELLO_LIBUV: import.meta.path })).reason).toMatch(
    /^needs libuv, but EPOLL_HELLO_LIBUV cannot be used: .*addons\.test\.ts is not an ELF file: it is a text file/,
  );
  expect((await verdict(file, { EPOLL_HELLO_LIBUV: "off" })).reason).toBe(
    "needs libuv, but EPOLL_HELLO_LIBUV is off: unset it",
  );
  expect((await verdict(file, { EPOLL_HELLO_LIBUV: join(folder, "missing") })).reason).toMatch(
    /^needs libuv, but EPOLL_HELLO_LIBUV cannot be used: ENOENT/,
  );
});

test("a libuv without a directory in its name is searched like any library", async () => {
  const file = addonFile(["uv_poll_init"]);
  const env = { EPOLL_HELLO_LIBUV: "libuv-other.so", LD_LIBRARY_PATH: `/nonexistent:${folder}` };
  expect((await verdict(file, env)).reason).toMatch(/^needs libuv, which isn't installed/);
  writeFileSync(join(folder, "libuv-other.so"), buildElf({ exports: uvNames }));
  expect(await verdict(file, env)).toMatchObject({ result: "with-libuv" });
});

test("a libuv that is too old is named, with the functions that it lacks", async () => {
  const old = join(folder, "old.so");
  writeFileSync(old, buildElf({ exports: ["uv_run", "uv_close"] }));
  const { reason } = await verdict(addonFile(["uv_close", "uv_poll_init"]), { EPOLL_HELLO_LIBUV: old });
  expect(reason).toMatch(/^needs uv_poll_init, which .*\/old\.so doesn't provide: install a newer libuv/);
});

const installed = process.env["EPOLL_HELLO_LIBUV"] === undefined ? findLibuv(bunSymbols().libc)?.path : undefined;
const canHide = Bun.spawnSync(["unshare", "--map-root-user", "--mount", "true"]).success;
test.skipIf(installed === undefined || !canHide)("without libuv, the reason says how to install it", async () => {
  using project = new Project();
  project.addPackage({ name: "one" }, { "one.node": addonFile(["uv_poll_init"]) });
  // A device in place of the file, for this process only.
  const script = `mount --bind /dev/null "${realpathSync(installed ?? "")}" && exec "$@"`;
  const { code, stdout } = await run(
    [
      "unshare",
      "--map-root-user",
      "--mount",
      "sh",
      "-c",
      script,
      "sh",
      process.execPath,
      cli,
      "addons",
      project.directory,
    ],
    { env: { EPOLL_HELLO_LIBUV: undefined } },
  );
  expect(stdout.replace(/\s+/g, " ")).toMatch(/one: needs libuv, which isn't installed: (?:run|install) .*libuv/);
  expect(stdout).toContain("libuv: not installed");
  expect(code).toBe(1);
});

test.skipIf(installed === undefined)("finds the system's libuv, and the addons of real packages", async () => {
  const { code, stdout } = await run(["bun", cli, "addons", root, "--json"], { env: { EPOLL_HELLO_LIBUV: undefined } });
  const { addons, libuv: path, otherFiles } = JSON.parse(stdout) as ProjectReport;
  expect(path).toBe(installed ?? null);
  const results = Object.fromEntries(addons.map((addon) => [addon.package, addon.result]));
  expect(results).toMatchObject({
    "@serialport/bindings-cpp": "with-libuv",
    "fs-native-extensions": "with-libuv",
    "udx-native": "with-libuv",
    zeromq: "with-libuv",
  });
  const udx = addons.find((addon) => addon.package === "udx-native");
  expect(udx).toMatchObject({ version: "1.21.3", usesEventLoop: true });
  expect(udx?.path).toEndWith(`prebuilds/${thisTuple}/udx-native.node`);
  expect(udx?.uvFunctions).toHaveLength(37);
  expect(udx?.uvFunctions).toContain("uv_udp_send");
  const bundled = addons.filter((addon) => addon.package.startsWith("@ox"));
  expect(bundled.length).toBeGreaterThan(0);
  expect(bundled.filter(({ result }) => result !== "plain-bun")).toEqual([]);
  expect(otherFiles).toBeGreaterThan(30);
  expect(code).toBe(0);
});

test("counts the files for other platforms, and does not check them", async () => {
  using project = new Project();
  project.addPackage(
    { name: "pre", version: "2.0.0" },
    {
      [`prebuilds/${thisTuple}/pre.${thisLibc}.node`]: addonFile(),
      [`prebuilds/${thisTuple}/pre.${otherLibc}.node`]: "damaged",
      [`prebuilds/linux-${otherArch}/pre.node`]: "damaged",
      "prebuilds/win32-x64/pre.node": "MZ",
    },
  );
  const suffix = thisLibc === "glibc" ? "gnu" : "musl";
  const files = { "x.node": addonFile() };
  project.addPackage(
    { name: `@x/x-${thisTuple}-${suffix}`, version: "3.0.0", os: ["linux"], cpu: [process.arch] },
    files,
  );
  project.addPackage({ name: "@x/x-darwin-arm64", os: ["darwin"], cpu: ["arm64"] }, { "x.node": "damaged" });
  const { addons, otherFiles } = await report(project);
  expect(addons.map(({ package: name, version, result }) => [name, version, result])).toEqual([
    [`@x/x-${thisTuple}-${suffix}`, "3.0.0", "plain-bun"],
    ["pre", "2.0.0", "plain-bun"],
  ]);
  expect(otherFiles).toBe(4);
});

test("takes the next candidate if the best one cannot be loaded, as loaders do", async () => {
  using project = new Project();
  project.addPackage(
    { name: "two" },
    {
      [`build/linux/${process.arch}/node/127/a.node`]: addonFile([], {
        needed: ["libc.musl-x86_64.so.1", "ld-linux-nowhere.so.9"],
      }),
      [`build/linux/${process.arch}/node/115/a.node`]: addonFile(),
      "lib/a.node": "MZ", // another addon, for Windows
    },
  );
  const { addons, otherFiles } = await report(project);
  expect(addons.map(({ path, result }) => [path?.replace(/.*\/node\//, ""), result])).toEqual([
    ["115/a.node", "plain-bun"],
  ]);
  expect(otherFiles).toBe(2);
});

test("a package without a file for this platform does not run", async () => {
  using project = new Project();
  project.addPackage({ name: "windows", version: "1.0.0" }, { "prebuilds/win32-x64/w.node": "MZ" });
  const { addons, otherFiles } = await report(project);
  expect(addons).toMatchObject([{ package: "windows", path: null, result: "fails" }]);
  expect(addons[0]?.reason).toMatch(
    /^has no file for linux-\w+ \((?:glibc|musl)\): build it from source \(npm rebuild windows\)$/,
  );
  expect(otherFiles).toBe(1);
});

test("lists linked packages once, as pnpm, Bun and workspaces install them, and copies with their number", async () => {
  using project = new Project();
  const file = { "p.node": addonFile() };
  for (const version of ["1.0.0", "2.0.0"]) {
    project.addPackage({ name: "p", version }, file, `node_modules/.pnpm/p@${version}/node_modules/p`);
  }
  project.link("node_modules/p", ".pnpm/p@1.0.0/node_modules/p");
  project.link("node_modules/.pnpm/q@1.0.0/node_modules/p", "../../p@2.0.0/node_modules/p");
  project.addPackage(
    { name: "b", version: "1.0.0" },
    { "b.node": addonFile() },
    "node_modules/.bun/b@1.0.0/node_modules/b",
  );
  project.link("node_modules/@scope/b", "../.bun/b@1.0.0/node_modules/b");
  project.addPackage(
    { name: "workspace", version: "0.0.0" },
    { "build/Release/w.node": addonFile() },
    "packages/workspace",
  );
  project.link("node_modules/workspace", "../packages/workspace");
  project.addPackage(
    { name: "nested", version: "1.0.0" },
    { "n.node": addonFile() },
    "node_modules/a/node_modules/nested",
  );
  project.addPackage(
    { name: "nested", version: "1.0.0" },
    { "n.node": addonFile() },
    "node_modules/c/node_modules/nested",
  );
  // Links that lead nowhere, to the project, to a folder around it, and in a circle.
  project.link("node_modules/dangling", "nowhere");
  project.link("node_modules/self", "..");
  project.link("node_modules/everything", "/");
  project.link("packages/workspace/node_modules/circle", "..");
  const { addons } = await report(project);
  expect(addons.map(({ package: name, version }) => `${name} ${version}`)).toEqual([
    "b 1.0.0",
    "nested 1.0.0",
    "nested 1.0.0",
    "p 1.0.0",
    "p 2.0.0",
    "workspace 0.0.0",
  ]);
  const { stdout } = await command([project.directory]);
  expect(stdout).toMatch(/^nested +1\.0\.0 +0 {2}runs on plain Bun \(2 copies\)$/m);
});

test("looks at the project's own builds, and skips tests, hidden folders and node-gyp's intermediate files", async () => {
  using project = new Project();
  project.write("package.json", '{"name":"own","version":"0.1.0"}');
  project.write("build/Release/own.node", addonFile());
  project.write("build/Release/obj.target/own.node", "damaged");
  project.write("test/fixtures/not.node", "damaged");
  project.addPackage(
    { name: "tested" },
    { "test/a.node": "damaged", ".cache/b.node": "damaged", "ok.node": addonFile() },
  );
  project.write("node_modules/.cache/c.node", "damaged");
  project.write("node_modules/plain/index.js", "");
  mkdirSync(join(project.directory, "node_modules/plain/folder.node"));
  const { addons } = await report(project);
  expect(addons.map(({ package: name, result }) => [name, result])).toEqual([
    ["own", "plain-bun"],
    ["tested", "plain-bun"],
  ]);
});

test("names packages whose install script has not run, unless the addon is in a package of its own", async () => {
  using project = new Project();
  project.addPackage({ name: "source", version: "1.2.3" }, { "binding.gyp": "{}" });
  expect((await command([project.directory])).stdout.split("\n").slice(1)).toEqual([
    "not built, because the install script has not run (bun pm trust source, or npm",
    "rebuild source): source 1.2.3",
    "",
  ]);
  project.addPackage({ name: "main", optionalDependencies: { "@main/prebuilt": "1.0.0" } }, { "binding.gyp": "{}" });
  project.addPackage({ name: "odd", optionalDependencies: null, version: "1.0.0" }, { "binding.gyp": "{}" });
  project.addPackage({ name: "@main/prebuilt" }, { "m.node": addonFile() });
  project.addPackage({ name: "built" }, { "binding.gyp": "{}", "build/Release/b.node": addonFile() });
  const { code, stdout } = await command([project.directory, "--json"]);
  const { addons, unbuilt } = JSON.parse(stdout) as ProjectReport;
  expect(addons.map((addon) => addon.package)).toEqual(["@main/prebuilt", "built"]);
  expect(unbuilt).toEqual([
    { package: "odd", version: "1.0.0" },
    { package: "source", version: "1.2.3" },
  ]);
  expect(code).toBe(0);
});

test("a damaged package.json does not hide its addon", async () => {
  using project = new Project();
  project.write("node_modules/damaged/package.json", "{");
  project.write("node_modules/damaged/d.node", addonFile());
  project.write("node_modules/odd/package.json", '{"name":5,"version":[],"os":7}');
  project.write("node_modules/odd/o.node", addonFile());
  const { addons } = await report(project);
  expect(addons.map(({ package: name, version }) => [name, version])).toEqual([
    ["damaged", null],
    ["odd", null],
  ]);
});

test("prints a table, the reasons, and how to load the module", async () => {
  using project = new Project();
  project.addPackage({ name: "plain", version: "1.0.0" }, { "p.node": addonFile() });
  project.addPackage({ name: "serial", version: "10.20.30" }, { "s.node": addonFile(["uv_poll_init", "uv_close"]) });
  project.addPackage({ name: "two", version: "1.0.0" }, { "a.node": "", "b.node": addonFile() });
  project.addPackage({ name: "wrong", version: "1.0.0" }, { "w.node": "" });
  const { code, stdout } = await command([project.directory]);
  expect(stdout.split("\n").slice(0, -2)).toEqual([
    "package       version   uv functions  result",
    "plain         1.0.0                0  runs on plain Bun",
    "serial        10.20.30             2  runs with epoll-hello/libuv",
    "two (a.node)  1.0.0                0  doesn't run",
    "two (b.node)  1.0.0                0  runs on plain Bun",
    "wrong         1.0.0                0  doesn't run",
    "",
    "two (a.node) 1.0.0, wrong 1.0.0: is empty: reinstall its package on this machine",
    "",
    "To run those that need libuv: bun --preload epoll-hello/libuv app.ts",
  ]);
  expect(stdout).toMatch(new RegExp(`\\n${thisTuple} \\(${thisLibc}\\), Bun \\S+, libuv: ${libuv}\\n$`));
  expect(code).toBe(1);

  const verbose = await command(["--verbose", "."], {}, project.directory);
  expect(verbose.stdout).toContain(
    "\nserial 10.20.30\n  node_modules/serial/s.node\n  2 uv functions (* ends the process on plain Bun): uv_close, uv_poll_init*\n",
  );
  expect(verbose.code).toBe(1);

  const colored = await command([project.directory], { FORCE_COLOR: "1" });
  expect(colored.stdout).toContain("2  \x1b[36mruns with epoll-hello/libuv\x1b[39m\n");
  expect(colored.stdout).toContain("0  \x1b[31mdoesn't run\x1b[39m\n");
});

test("without addons, says so, with exit code 0", async () => {
  using project = new Project();
  project.write("node_modules/plain/index.js", "");
  expect(await command([project.directory])).toEqual({
    code: 0,
    stdout: `no native addons for this platform in ${project.directory}\n`,
    stderr: "",
  });
  expect((await report(project)).addons).toEqual([]);
});

test("the JSON has these fields", async () => {
  using project = new Project();
  project.addPackage({ name: "p", version: "1.0.0" }, { "p.node": addonFile() });
  const json = await report(project);
  expect(Object.keys(json).sort()).toEqual([
    "addons",
    "bun",
    "directory",
    "libuv",
    "otherFiles",
    "platform",
    "problems",
    "unbuilt",
  ]);
  expect(json).toMatchObject({
    directory: project.directory,
    platform: { os: "linux", arch: process.arch, libc: thisLibc },
    bun: process.versions.bun,
    libuv,
    otherFiles: 0,
    problems: [],
    unbuilt: [],
  });
});

test("escapes control characters in names", async () => {
  using project = new Project();
  project.addPackage({ name: "evil\x1b[2J\nname", version: "1\r" }, { "e\x07.node": "" }, "node_modules/evil");
  const { stdout } = await command([project.directory, "--verbose"]);
  expect(stdout).toContain("evil\\u001b[2J\\u000aname");
  expect(stdout).toContain("1\\u000d");
  // oxlint-disable-next-line no-control-regex -- those must not be in the output
  expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
});

test.skipIf(process.getuid?.() === 0)("warns about a folder that it cannot read", async () => {
  using project = new Project();
  project.addPackage({ name: "p" }, { "p.node": addonFile(), "closed/q.node": "" });
  const closed = join(project.directory, "node_modules/p/closed");
  chmodSync(closed, 0);
  const { stdout, stderr } = await command([project.directory]);
  chmodSync(closed, 0o700);
  expect(stderr).toMatch(/^warning: EACCES: permission denied, .*closed.*; its addons are not listed\n$/);
  expect(stdout).toContain("runs on plain Bun");
});

test("rejects a directory that is missing, a file, and one without node_modules, with exit code 1", async () => {
  using project = new Project();
  const empty = join(project.directory, "packages", "empty");
  mkdirSync(empty, { recursive: true });
  const file = project.write("file", "");
  const cases: [args: string[], message: RegExp][] = [
    [[join(project.directory, "missing")], /^error: cannot find the directory ".*\/missing"\n$/],
    [[file], /^error: ".*\/file" is not a directory; pass that of a project: epoll-hello addons \/.*\n$/],
    [[empty], /^error: \/.*\/empty has no node_modules; run npm install or bun install there first\n$/],
  ];
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await command(args);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    expect(code).toBe(1);
  }
  project.write("node_modules/p/p.node", addonFile());
  const { stderr } = await command([], {}, empty);
  expect(stderr).toMatch(/has no node_modules; its packages may be in \/.*: epoll-hello addons \.\.\/\.\.\n$/);
  expect((await command(["../.."], {}, empty)).stdout).toContain("runs on plain Bun");
  expect((await command([join(project.directory, "node_modules")])).stdout).toContain("runs on plain Bun");
  symlinkSync(project.directory, join(folder, "link"));
  expect((await command([join(folder, "link")])).stdout).toContain("runs on plain Bun");
});

test("rejects mistakes on the command line with exit code 2, and has its own help", async () => {
  for (const [args, message] of [
    [["a", "b"], /unexpected argument "b"/],
    [["--jsn"], /unknown flag --jsn \(did you mean --json\?\)/],
    [["--json=x"], /--json takes no value/],
  ] as const) {
    const { code, stderr } = await command(args);
    expect(stderr).toMatch(message);
    expect(stderr).toEndWith("Run epoll-hello addons --help for usage.\n");
    expect(code).toBe(2);
  }
  const { code, stdout } = await command(["--help"]);
  expect(stdout).toMatch(/^USAGE epoll-hello addons \[OPTIONS\] \[DIR\]$/m);
  expect(code).toBe(0);
});
