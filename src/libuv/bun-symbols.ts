// class BunSymbols: which functions the running Bun exports for native addons, and which of them only end the process.

import { type ElfFile, type ElfSymbol, readElfFile, withElfMemory } from "./elf-file.ts";

const THIS_EXECUTABLE = "/proc/self/exe";

/** Bytes of code to search. The longest stub, on arm64, has 20. */
const MAX_CODE_BYTES = 32;

/**
 * The dynamic symbols of a Bun executable.
 *
 * Bun exports every `uv_*` name. Most of these functions are stubs, which print "unsupported uv function" with their own name
 * and end the process. A stub is recognized by its code: it loads the address of its own name.
 */
export class BunSymbols {
  readonly #path: string;
  readonly #elf: ElfFile;
  readonly #byName: ReadonlyMap<string, ElfSymbol>;
  readonly #stubs = new Map<string, boolean>();

  /**
   * Reads the symbol table of an executable.
   *
   * @param path default: this process
   * @throws {ElfError} if it is not an ELF file, or is damaged
   * @throws {Error} Node's error if it cannot be read
   */
  constructor(path: string = THIS_EXECUTABLE) {
    this.#path = path;
    this.#elf = readElfFile(path);
    this.#byName = new Map(
      this.#elf.symbols.filter(({ isDefined }) => isDefined).map((symbol) => [symbol.name, symbol]),
    );
  }

  /** The C library that the executable uses. An addon must be built for the same one. */
  get libc(): "glibc" | "musl" {
    return this.#elf.interpreter?.includes("ld-musl-") === true ? "musl" : "glibc";
  }

  /** The exported names. */
  get names(): string[] {
    return [...this.#byName.keys()];
  }

  /** Returns whether Bun exports a symbol, as a stub or as a working function. */
  exports(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Returns the names that are stubs. Code that is not recognized counts as implemented. */
  stubsAmong(names: Iterable<string>): string[] {
    const asked = [...names];
    const unknown = asked.filter((name) => this.#byName.has(name) && !this.#stubs.has(name));
    if (unknown.length > 0) {
      const { machine } = this.#elf;
      withElfMemory(this.#path, (read) => {
        for (const name of unknown) {
          const { address = 0, size = 0 } = this.#byName.get(name) ?? {};
          const code = read(address, size === 0 ? MAX_CODE_BYTES : Math.min(size, MAX_CODE_BYTES));
          this.#stubs.set(name, loadsText(machine, code, address, `${name}\0`, read));
        }
      });
    }
    return asked.filter((name) => this.#stubs.get(name) === true);
  }

  /** Returns whether Bun exports a function that only ends the process. */
  isStub(name: string): boolean {
    return this.stubsAmong([name]).length > 0;
  }

  /** Returns whether Bun exports a function that is not a stub. */
  implements(name: string): boolean {
    return this.exports(name) && !this.isStub(name);
  }
}

let ofThisProcess: BunSymbols | undefined;

/** Returns the symbols of this process. The first call reads them, in a few milliseconds. */
export function bunSymbols(): BunSymbols {
  return (ofThisProcess ??= new BunSymbols());
}

type ReadMemory = (address: number, maxLength: number) => Uint8Array;

/** Returns whether a function starts by passing the address of the text `wanted` to another function. */
function loadsText(machine: string, code: Uint8Array, address: number, wanted: string, read: ReadMemory): boolean {
  const view = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const target =
    machine === "x64" ? x64Argument(view, address) : machine === "arm64" ? arm64Argument(view, address) : undefined;
  if (target === undefined) return false;
  const bytes = read(target, wanted.length);
  return bytes.length === wanted.length && bytes.every((byte, i) => byte === wanted.charCodeAt(i));
}

/** Instructions at the start of x86-64 functions. -1 stands for an operand byte. */
const X64_PROLOGUE: readonly (readonly number[])[] = [
  [0xf3, 0x0f, 0x1e, 0xfa], // endbr64
  [0x55], // push rbp
  [0x50], // push rax
  [0x48, 0x89, 0xe5], // mov rbp, rsp
  [0x48, 0x83, 0xec, -1], // sub rsp, imm8
];

/**
 * Returns the value that an x86-64 function loads into rdi, if it then calls a function. A function that branches
 * first is not a stub: `uv_ref` ends the process only for some kinds of handles.
 */
function x64Argument(code: DataView, address: number): number | undefined {
  const matches = (at: number, pattern: readonly number[]): boolean =>
    at + pattern.length <= code.byteLength && pattern.every((byte, i) => byte === -1 || byte === code.getUint8(at + i));
  let at = 0;
  for (;;) {
    const instruction = X64_PROLOGUE.find((pattern) => matches(at, pattern));
    if (instruction === undefined) break;
    at += instruction.length;
  }
  let target: number;
  if (matches(at, [0xbf, -1, -1, -1, -1])) {
    target = code.getUint32(at + 1, true); // mov edi, imm32
    at += 5;
  } else if (matches(at, [0x48, 0x8d, 0x3d, -1, -1, -1, -1])) {
    at += 7;
    target = address + at + code.getInt32(at - 4, true); // lea rdi, [rip + disp32]
  } else {
    return undefined;
  }
  if (matches(at, [0x31, 0xc0])) at += 2; // xor eax, eax: the call of a variadic function
  return matches(at, [0xe8]) || matches(at, [0xe9]) ? target : undefined; // call or jmp
}

const PAGE = 4096;

/** Returns the value that an arm64 function loads into x0 by adr, or by adrp and add, if it calls a function before any branch. */
function arm64Argument(code: DataView, address: number): number | undefined {
  let target: number | undefined;
  for (let at = 0; at + 4 <= code.byteLength; at += 4) {
    const instruction = code.getUint32(at, true);
    if ((instruction & 0xfffff01f) >>> 0 === 0xd503201f) continue; // hints: nop, bti, paciasp
    if ((instruction & 0x7c000000) >>> 0 === 0x14000000) return target; // b, bl
    if ((instruction & 0x1c000000) >>> 0 === 0x14000000) return undefined; // other branches, ret, system calls
    // A signed 21-bit number: immhi in the bits 23 to 5, immlo in 30 and 29.
    const immediate = ((instruction << 8) >> 13) * 4 + ((instruction >>> 29) & 3);
    const kind = (instruction & 0x9f00001f) >>> 0;
    if (kind === 0x90000000) target = (Math.floor((address + at) / PAGE) + immediate) * PAGE; // adrp x0
    if (kind === 0x10000000) target = address + at + immediate; // adr x0
    const isAdd = (instruction & 0xffc003ff) >>> 0 === 0x91000000; // add x0, x0, #imm12
    if (isAdd && target !== undefined) target += (instruction >>> 10) & 0xfff;
  }
  return undefined;
}
