// ELF files made by hand, for every machine and with every mistake, where no compiler could make them.

import { Buffer } from "node:buffer";

export interface ElfParts {
  /** e_machine; default: x86-64 */
  machine?: number;
  /** e_type; default: ET_DYN */
  type?: number;
  imports?: readonly string[];
  weakImports?: readonly string[];
  exports?: readonly string[];
  needed?: readonly string[];
  soname?: string;
  runpath?: string;
  interpreter?: string;
  /** Default: "sysv" */
  hash?: "sysv" | "gnu" | "none";
  /** DT_FLAGS_1 */
  flags1?: number;
  /** Replaces values of the dynamic section, by tag. */
  dynamic?: Readonly<Record<number, number>>;
  /** Leaves out PT_DYNAMIC. */
  isStatic?: boolean;
  /** The number of bytes after the tables, such as those of .data, in the same segment. */
  padding?: number;
}

export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;
/** e_machine of this process. */
export const EM_HOST: number = process.arch === "arm64" ? EM_AARCH64 : EM_X86_64;

/** Returns a shared object without section headers, mapped at address 0, so that addresses are offsets. */
export function buildElf(parts: ElfParts = {}): Buffer {
  const { imports = [], weakImports = [], exports: exported = [], needed = [], hash = "sysv" } = parts;
  let strings = "\0";
  const stringOffset = (text: string): number => {
    const offset = strings.length;
    strings += `${text}\0`;
    return offset;
  };
  const symbols = [Buffer.alloc(24)];
  const addSymbol = (name: string, binding: number, section: number): void => {
    const symbol = Buffer.alloc(24);
    symbol.writeUInt32LE(stringOffset(name), 0);
    symbol[4] = (binding << 4) | 2; // STT_FUNC
    symbol.writeUInt16LE(section, 6);
    symbol.writeBigUInt64LE(section === 0 ? 0n : 0x1000n, 8);
    symbols.push(symbol);
  };
  for (const name of imports) addSymbol(name, 1, 0);
  for (const name of weakImports) addSymbol(name, 2, 0);
  const firstExport = symbols.length;
  for (const name of exported) addSymbol(name, 1, 1);

  const entries: [tag: number, value: number | "strings" | "strsz" | "symbols" | "hash" | "rela" | "relasz"][] = [
    ...needed.map((name): [number, number] => [1, stringOffset(name)]),
    [5, "strings"],
    [10, "strsz"],
    [6, "symbols"],
    [11, 24],
  ];
  if (parts.soname !== undefined) entries.push([14, stringOffset(parts.soname)]);
  if (parts.runpath !== undefined) entries.push([29, stringOffset(parts.runpath)]);
  if (parts.flags1 !== undefined) entries.push([0x6ffffffb, parts.flags1]);
  if (hash === "sysv") entries.push([4, "hash"]);
  if (hash === "gnu") entries.push([0x6ffffef5, "hash"], [7, "rela"], [8, "relasz"]);
  entries.push([0, 0]);

  const interpreter = Buffer.from(parts.interpreter === undefined ? "" : `${parts.interpreter}\0`);
  const symbolTable = Buffer.concat(symbols);
  const stringTable = Buffer.from(strings);
  const hashTable = hash === "gnu" ? gnuHash(firstExport, exported) : sysvHash(symbols.length);
  const relocations = Buffer.alloc(24 * (firstExport - 1));
  for (let i = 1; i < firstExport; i++) relocations.writeUInt32LE(i, 24 * (i - 1) + 12);
  const headerCount = 3;
  let end = 64 + 56 * headerCount;
  const place = (bytes: Buffer): number => {
    const offset = Math.ceil(end / 8) * 8;
    end = offset + bytes.length;
    return offset;
  };
  const at = {
    interpreter: place(interpreter),
    symbols: place(symbolTable),
    strings: place(stringTable),
    hash: place(hashTable),
    rela: place(relocations),
    strsz: stringTable.length,
    relasz: relocations.length,
  };
  const dynamic = Buffer.alloc(16 * entries.length);
  for (const [i, [tag, value]] of entries.entries()) {
    const number = parts.dynamic?.[tag] ?? (typeof value === "number" ? value : at[value]);
    dynamic.writeBigUInt64LE(BigInt(tag), 16 * i);
    dynamic.writeBigUInt64LE(BigInt(number), 16 * i + 8);
  }
  const dynamicAt = place(dynamic);

  const file = Buffer.alloc(end + (parts.padding ?? 0));
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(parts.type ?? 3, 16);
  file.writeUInt16LE(parts.machine ?? EM_HOST, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(headerCount, 56);
  const programHeader = (i: number, type: number, offset: number, length: number): void => {
    const header = 64 + 56 * i;
    file.writeUInt32LE(type, header);
    file.writeUInt32LE(4, header + 4);
    for (const field of [8, 16, 24]) file.writeBigUInt64LE(BigInt(offset), header + field);
    for (const field of [32, 40]) file.writeBigUInt64LE(BigInt(length), header + field);
  };
  programHeader(0, 1, 0, file.length);
  programHeader(1, parts.isStatic === true ? 0 : 2, dynamicAt, dynamic.length);
  programHeader(2, interpreter.length > 0 ? 3 : 0, at.interpreter, interpreter.length);
  file.set(interpreter, at.interpreter);
  file.set(symbolTable, at.symbols);
  file.set(stringTable, at.strings);
  file.set(hashTable, at.hash);
  file.set(relocations, at.rela);
  file.set(dynamic, dynamicAt);
  return file;
}

/** One bucket, whose chain holds all symbols. */
function sysvHash(count: number): Buffer {
  const words = [1, count, count > 1 ? 1 : 0, 0, ...Array.from({ length: count - 1 }, (_, i) => (i + 2) % count)];
  return Buffer.from(Uint32Array.from(words).buffer);
}

function gnuHash(firstExport: number, names: readonly string[]): Buffer {
  const hashes = names.map((name) => {
    let hash = 5381;
    for (const char of name) hash = (Math.imul(hash, 33) + char.charCodeAt(0)) >>> 0;
    return hash & ~1;
  });
  const chain = hashes.map((hash, i) => (i === hashes.length - 1 ? hash | 1 : hash) >>> 0);
  // GNU ld writes 1 for the first hashed symbol if there is none.
  const first = names.length === 0 ? 1 : firstExport;
  const words = [1, first, 1, 0, 0xffffffff, 0xffffffff, names.length === 0 ? 0 : firstExport, ...chain];
  return Buffer.from(Uint32Array.from(words).buffer);
}
