// BunSymbols: which uv_* functions of this Bun are stubs, compared with what happens when they are called.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BunSymbols, bunSymbols } from "../../src/libuv/bun-symbols.ts";
import { buildElf, EM_AARCH64, EM_X86_64 } from "../support/elf.ts";
import { endPrograms, run } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const bun = bunSymbols();
const uvNames = bun.names.filter((name) => name.startsWith("uv_"));

const caller = join(import.meta.dir, "..", "support", "call-exported.ts");

/** Calls functions of Bun with a zeroed handle, in a process of its own. */
function call(names: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return run(["bun", caller, ...names], { env: { BUN_ENABLE_CRASH_REPORTING: "0" } });
}

test("this Bun exports uv_* functions, some of which are stubs, and napi functions, of which none is", () => {
  expect(uvNames.length).toBeGreaterThan(300);
  const stubs = bun.stubsAmong(uvNames);
  expect(stubs.length).toBeGreaterThan(0);
  expect(stubs.length).toBeLessThan(uvNames.length);
  expect(bun.stubsAmong(bun.names.filter((name) => !name.startsWith("uv_")))).toEqual([]);
});

const stubs = ["uv_poll_init", "uv_poll_start", "uv_strerror", "uv_err_name", "uv_udp_init", "uv_backend_fd", "uv_run"];
const isExhaustive = scaled(false, true);
for (const name of isExhaustive ? bun.stubsAmong(uvNames) : stubs) {
  test(`${name}: is a stub, and calling it ends the process`, async () => {
    const { code, stdout, stderr } = await call([name]);
    expect({ name, isStub: bun.isStub(name) }).toEqual({ name, isStub: code !== 0 });
    expect(stdout).not.toContain("returned");
    expect(stderr).toContain(`unsupported uv function: ${name}`);
  });
}

const implemented = [
  "uv_version",
  "uv_version_string",
  "uv_hrtime",
  "uv_os_getpid",
  "uv_handle_size",
  "uv_req_size",
  "uv_handle_type_name",
  "uv_mutex_init",
  "uv_mutex_destroy",
  "uv_handle_set_data",
  "uv_handle_get_data",
];

test("functions that are not stubs return", async () => {
  expect(implemented.filter((name) => !bun.implements(name))).toEqual([]);
  const { code, stdout } = await call(implemented);
  expect(stdout).toBe(implemented.map((name) => `${name} returned\n`).join(""));
  expect(code).toBe(0);
});

test("a function that ends the process for some arguments only is not a stub", async () => {
  // The kind of the zeroed handle is unknown to uv_ref.
  const { stderr } = await call(["uv_ref"]);
  expect(stderr).toContain("unsupported uv function: uv_ref");
  expect(bun.isStub("uv_ref")).toBe(false);
});

test("a name that Bun does not export is neither a stub nor implemented", () => {
  for (const name of ["uv_no_such_function", "", "constructor"]) {
    expect(bun.exports(name)).toBe(false);
    expect(bun.isStub(name)).toBe(false);
    expect(bun.implements(name)).toBe(false);
  }
});

test("tells the C library by the executable's interpreter", () => {
  const file = join(folder, "bun");
  for (const [interpreter, libc] of [
    ["/lib/ld-musl-x86_64.so.1", "musl"],
    ["/lib/ld-musl-aarch64.so.1", "musl"],
    ["/lib64/ld-linux-x86-64.so.2", "glibc"],
  ] as const) {
    writeFileSync(file, buildElf({ interpreter, exports: ["uv_run"] }));
    expect(new BunSymbols(file).libc).toBe(libc);
  }
});

// Instructions of both architectures, as compilers write them, with the name placed at a known address.
const NAME_AT = 0x40;
const x64 = (...bytes: number[]): number[] => bytes;
const arm64 = (...instructions: number[]): number[] => [...new Uint8Array(Uint32Array.from(instructions).buffer)];
const codes: [what: string, machine: number, code: number[], isStub: boolean][] = [
  ["push, mov, mov edi, call", EM_X86_64, x64(0x55, 0x48, 0x89, 0xe5, 0xbf, NAME_AT, 0, 0, 0, 0xe8, 1, 2, 3, 4), true],
  [
    "endbr64, lea rdi, jmp",
    EM_X86_64,
    x64(0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8d, 0x3d, NAME_AT - 11, 0, 0, 0, 0xe9),
    true,
  ],
  [
    "push, lea rdi, xor eax, call",
    EM_X86_64,
    x64(0x50, 0x48, 0x8d, 0x3d, NAME_AT - 8, 0, 0, 0, 0x31, 0xc0, 0xe8),
    true,
  ],
  ["a branch before it", EM_X86_64, x64(0x75, 0x0e, 0x55, 0xbf, NAME_AT, 0, 0, 0, 0xe8), false],
  ["another string", EM_X86_64, x64(0x55, 0xbf, NAME_AT + 1, 0, 0, 0, 0xe8), false],
  ["an address outside of the file", EM_X86_64, x64(0x55, 0xbf, 0, 0, 0, 0x7f, 0xe8), false],
  ["ret", EM_X86_64, x64(0xc3), false],
  [
    "adrp, add, bl",
    EM_AARCH64,
    arm64(0xa9bf7bfd, 0x910003fd, 0x90000000, 0x91000000 | (NAME_AT << 10), 0x97fff9c8),
    true,
  ],
  ["bti, adr, b", EM_AARCH64, arm64(0xd503245f, 0x10000000 | ((NAME_AT - 4) << 3), 0x14000001), true],
  ["cbz before it", EM_AARCH64, arm64(0xb4000040, 0x10000000 | ((NAME_AT - 4) << 3), 0x94000001), false],
  ["ret after it", EM_AARCH64, arm64(0x10000000 | (NAME_AT << 3), 0xd65f03c0, 0x94000001), false],
];

for (const [what, machine, code, isStub] of codes) {
  test(`${isStub ? "recognizes" : "does not take for"} a stub: ${what} (${machine === EM_X86_64 ? "x86-64" : "arm64"})`, () => {
    const file = join(folder, "bun");
    // The function is at address 0x1000 of its own segment, and its name, within the same page, 0x40 bytes later.
    const elf = buildElf({ machine, exports: ["uv_thing"], padding: 0x2000 });
    const image = Buffer.from(elf);
    const shift = machine === EM_X86_64 ? relocate(code, 0x1000) : code;
    image.set(shift, 0x1000);
    image.write("uv_thing\0", 0x1000 + NAME_AT, "latin1");
    writeFileSync(file, image);
    expect(new BunSymbols(file).isStub("uv_thing")).toBe(isStub);
  });
}

/** Adds the function's address to the operand of mov edi, which is absolute. */
function relocate(code: number[], address: number): number[] {
  const at = code.indexOf(0xbf);
  if (at < 0) return code;
  const bytes = Buffer.from(code);
  bytes.writeUInt32LE(bytes.readUInt32LE(at + 1) + address, at + 1);
  return [...bytes];
}

test("rejects a file that is not an executable", () => {
  expect(() => new BunSymbols(import.meta.path)).toThrow(/is not an ELF file/);
});
