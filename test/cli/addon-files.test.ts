// chooseFiles: the file that a loader would load, for the layouts of node-gyp-build, require-addon, cmake-ts, node-pre-gyp and napi-rs.

import { expect, setDefaultTimeout, test } from "bun:test";
import { chooseFiles } from "../../src/tools/addons/choose-files.ts";
import type { AddonPackage } from "../../src/tools/addons/find-addons.ts";
import type { Platform } from "../../src/tools/addons/platform.ts";
import { Project } from "../support/project.ts";

setDefaultTimeout(60_000);

const glibc: Platform = { os: "linux", arch: "x64", libc: "glibc", abi: "137" };
const musl: Platform = { ...glibc, libc: "musl" };
const arm: Platform = { ...glibc, arch: "arm64" };

function choose(files: readonly string[], platform: Platform, manifest: Partial<AddonPackage> = {}): string[][] {
  const found: AddonPackage = {
    name: "p",
    version: "1.0.0",
    directory: "/nonexistent",
    files: files.toSorted(),
    os: [],
    cpu: [],
    libc: [],
    ...manifest,
  };
  return chooseFiles(found, platform).addons.map((candidates) => [...candidates]);
}

const serialport = [
  "prebuilds/android-arm64/@serialport+bindings-cpp.armv8.node",
  "prebuilds/darwin-x64+arm64/@serialport+bindings-cpp.node",
  "prebuilds/linux-arm/@serialport+bindings-cpp.armv7.musl.node",
  "prebuilds/linux-arm64/@serialport+bindings-cpp.armv8.glibc.node",
  "prebuilds/linux-arm64/@serialport+bindings-cpp.armv8.musl.node",
  "prebuilds/linux-x64/@serialport+bindings-cpp.glibc.node",
  "prebuilds/linux-x64/@serialport+bindings-cpp.musl.node",
  "prebuilds/win32-x64/@serialport+bindings-cpp.node",
];

const layouts: [what: string, files: string[], platform: Platform, chosen: string[][]][] = [
  ["prebuildify, glibc", serialport, glibc, [["prebuilds/linux-x64/@serialport+bindings-cpp.glibc.node"]]],
  ["prebuildify, musl", serialport, musl, [["prebuilds/linux-x64/@serialport+bindings-cpp.musl.node"]]],
  ["prebuildify, arm64", serialport, arm, [["prebuilds/linux-arm64/@serialport+bindings-cpp.armv8.glibc.node"]]],
  ["a file without a name", ["prebuilds/linux-x64/node.napi.node"], glibc, [["prebuilds/linux-x64/node.napi.node"]]],
  [
    "an ABI version that must be equal",
    ["prebuilds/linux-x64/node.abi115.node", "prebuilds/linux-x64/node.abi137.node"],
    glibc,
    [["prebuilds/linux-x64/node.abi137.node"]],
  ],
  ["no ABI version that is equal", ["prebuilds/linux-x64/node.abi115.node"], glibc, []],
  ["Electron only", ["prebuilds/linux-x64/electron.abi137.node"], glibc, []],
  [
    "require-addon, which has a folder for musl",
    ["prebuilds/linux-x64/udx-native.node", "prebuilds/linux-x64-musl/udx-native.node"],
    musl,
    [["prebuilds/linux-x64-musl/udx-native.node", "prebuilds/linux-x64/udx-native.node"]],
  ],
  [
    "cmake-ts without a manifest: the highest version first",
    ["build/linux/x64/node/glibc-115-Release/addon.node", "build/linux/x64/node/glibc-127-Release/addon.node"],
    glibc,
    [["build/linux/x64/node/glibc-127-Release/addon.node", "build/linux/x64/node/glibc-115-Release/addon.node"]],
  ],
  [
    "node-pre-gyp",
    [
      "lib/binding/napi-v6-linux-glibc-x64/node_sqlite3.node",
      "lib/binding/napi-v6-linux-musl-x64/node_sqlite3.node",
      "lib/binding/napi-v6-darwin-unknown-x64/node_sqlite3.node",
    ],
    glibc,
    [["lib/binding/napi-v6-linux-glibc-x64/node_sqlite3.node"]],
  ],
  [
    "napi-rs files side by side",
    ["x.darwin-arm64.node", "x.linux-x64-gnu.node", "x.linux-x64-musl.node", "x.win32-x64-msvc.node"],
    musl,
    [["x.linux-x64-musl.node"]],
  ],
  [
    "a build on this machine comes first",
    ["build/Release/own.node", "build/Release/second.node", "build/Debug/own.node", "prebuilds/linux-x64/own.node"],
    glibc,
    [["build/Release/own.node"], ["build/Release/second.node"]],
  ],
  ["a debug build", ["build/Debug/own.node", "prebuilds/linux-x64/own.node"], glibc, [["build/Debug/own.node"]]],
  [
    "koffi",
    ["build/koffi/linux_x64/koffi.node", "build/koffi/musl_x64/koffi.node"],
    musl,
    [["build/koffi/musl_x64/koffi.node", "build/koffi/linux_x64/koffi.node"]],
  ],
  ["x86_64", ["bin/linux-x86_64/a.node", "bin/linux-aarch64/a.node"], arm, [["bin/linux-aarch64/a.node"]]],
  [
    "a name with a platform",
    ["better-sqlite3-v11.0.0-napi-v6-linux-x64.node", "better-sqlite3-v11.0.0-napi-v6-linux-arm64.node"],
    arm,
    [["better-sqlite3-v11.0.0-napi-v6-linux-arm64.node"]],
  ],
  [
    "names that look like tags in part",
    ["node-hid.node", "win-ca.node", "constructor.node"],
    glibc,
    [["constructor.node"], ["node-hid.node"], ["win-ca.node"]],
  ],
  ["a path without tags", ["lib/addon.node"], glibc, [["lib/addon.node"]]],
  [
    "two addons",
    ["prebuilds/linux-x64/a.node", "prebuilds/linux-x64/b.node"],
    glibc,
    [["prebuilds/linux-x64/a.node"], ["prebuilds/linux-x64/b.node"]],
  ],
  ["other platforms only", ["prebuilds/win32-x64/a.node"], glibc, []],
];

for (const [what, files, platform, chosen] of layouts) {
  test(`chooses for ${what}`, () => expect(choose(files, platform)).toEqual(chosen));
}

test("cmake-ts: only what its manifest lists, the highest ABI version first", () => {
  using project = new Project();
  const files = ["108", "glibc-115-Release", "glibc-127-Release", "glibc-147-Release"].map(
    (folder) => `build/linux/x64/node/${folder}/addon.node`,
  );
  const manifest = {
    '{"abi":115}': "linux/x64/node/glibc-115-Release/addon.node",
    '{"abi":127}': "linux\\x64\\node\\glibc-127-Release\\addon.node",
  };
  project.write("build/manifest.json", JSON.stringify(manifest));
  const chosen = choose(files, glibc, { directory: project.directory });
  expect(chosen).toEqual([[files[2] ?? "", files[1] ?? ""]]);
  for (const damaged of ["{", "null", "[]", '{"a":1}']) {
    project.write("build/manifest.json", damaged);
    expect(choose(files, glibc, { directory: project.directory })[0]).toHaveLength(4);
  }
});

test("a package for other platforms need not have a file for this one", () => {
  const chosen = (manifest: Partial<AddonPackage>): boolean => {
    const found = {
      name: "p",
      version: "1",
      directory: "/",
      files: ["p.node"],
      os: [],
      cpu: [],
      libc: [],
      ...manifest,
    };
    return !chooseFiles(found, glibc).isForeign;
  };
  expect(chosen({})).toBe(true);
  expect(chosen({ os: ["linux", "darwin"], cpu: ["x64"], libc: ["glibc"] })).toBe(true);
  expect(chosen({ os: ["!win32"] })).toBe(true);
  expect(chosen({ os: ["any"] })).toBe(true);
  expect(chosen({ os: ["darwin"] })).toBe(false);
  expect(chosen({ os: ["!linux"] })).toBe(false);
  expect(chosen({ cpu: ["arm64"] })).toBe(false);
  expect(chosen({ libc: ["musl"] })).toBe(false);
});
