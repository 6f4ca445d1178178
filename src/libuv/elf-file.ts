// Reads the dynamic section of an ELF64 file: what it imports, exports and needs. Section headers are not used, so they may be absent.

import { Buffer } from "node:buffer";
import { type ByteSource, memorySource, truncated, withFile } from "./byte-source.ts";
import { ElfError, REINSTALL } from "./elf-error.ts";
import { notElf, SIGNATURE_BYTES } from "./file-signature.ts";

export { ElfError, type ElfErrorCode } from "./elf-error.ts";

/** A dynamic symbol: st_name, st_info, st_shndx, st_value and st_size of elf(5). */
export interface ElfSymbol {
  readonly name: string;
  /** Whether the file provides it. Otherwise the file imports it. */
  readonly isDefined: boolean;
  /** Whether it may stay undefined: the dynamic linker reports no error if no file provides it. */
  readonly isWeak: boolean;
  /** The virtual address, before relocation; 0 for an import. */
  readonly address: number;
  /** In bytes; 0 if it is not recorded. */
  readonly size: number;
}

/** What the dynamic linker reads from a shared object or executable. */
export interface ElfFile {
  readonly path: string;
  /** The architecture in the terms of `process.arch`, such as `"x64"`; `"machine 21"` for one without such a name. */
  readonly machine: string;
  readonly type: "shared object" | "executable";
  /** The path of the dynamic linker, PT_INTERP; undefined in most shared objects. */
  readonly interpreter: string | undefined;
  /** The libraries it needs, DT_NEEDED, in this order. */
  readonly needed: readonly string[];
  /** DT_SONAME. */
  readonly soname: string | undefined;
  /** DT_RUNPATH, or DT_RPATH if there is no DT_RUNPATH: directories separated by colons, which may contain `$ORIGIN`. */
  readonly runpath: string | undefined;
  /** The global symbols, imports and exports. */
  readonly symbols: readonly ElfSymbol[];
  /** The names of the symbols that another file must provide, without the weak ones. */
  readonly imports: readonly string[];
  /** The names that are used if another file provides them. */
  readonly weakImports: readonly string[];
  /** The names of the symbols that it provides. */
  readonly exports: readonly string[];
}

/**
 * Reads the needed parts of an ELF file for any 64-bit little-endian machine.
 *
 * @param file a path, or the bytes of the file
 * @param name for messages; default: the path
 * @throws {ElfError} if it is not such a file, or damaged
 * @throws {Error} Node's error, with `code` and `path`, if the file cannot be read
 */
export function readElfFile(file: string | Uint8Array, name?: string): ElfFile {
  if (typeof file !== "string") return parseElf(memorySource(file, name ?? "the file"));
  return withFile(file, parseElf);
}

/**
 * Reads a native addon, and checks that the dynamic linker of this machine can load it.
 *
 * @param file a path, or the bytes of the file
 * @param name for messages; default: the path
 * @param arch the architecture it must have; default: that of this process
 * @throws {ElfError} if it is not a shared object for this machine with dynamic symbols, or damaged
 * @throws {Error} Node's error, with `code` and `path`, if the file cannot be read
 */
export function readAddonFile(file: string | Uint8Array, name?: string, arch: string = process.arch): ElfFile {
  const elf = readElfFile(file, name);
  const { path, machine, type, symbols } = elf;
  if (machine !== arch) throw new ElfError("ERR_ELF_FOREIGN", path, `was built for ${machine}, but this is ${arch}`);
  if (type !== "shared object") throw notAddon(path, "is an executable, not a shared object");
  if (symbols.length === 0) throw notAddon(path, "has no dynamic symbols, so it isn't a native addon");
  return elf;
}

function notAddon(path: string, reason: string): ElfError {
  return new ElfError("ERR_ELF_NOT_ADDON", path, reason, "build it as a shared object (gcc -shared), or reinstall it");
}

/**
 * Reads bytes at virtual addresses of an ELF file, as they are before relocation.
 *
 * @throws {ElfError} if the file is not an ELF file, or damaged
 */
export function withElfMemory<T>(
  path: string,
  use: (read: (address: number, maxLength: number) => Uint8Array) => T,
): T {
  return withFile(path, (source) => {
    const { segments } = readHeader(source);
    return use((address, maxLength) => {
      const segment = segments.find(({ start, fileEnd }) => address >= start && address < fileEnd);
      if (segment === undefined) return new Uint8Array(0);
      return source.read(segment.offset + address - segment.start, Math.min(maxLength, segment.fileEnd - address));
    });
  });
}

// elf(5)
const EI_CLASS = 4;
const EI_DATA = 5;
const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ELFDATA2MSB = 2;
const ET_REL = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const ET_CORE = 4;
const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DYNAMIC_ENTRY_BYTES = 16;
const SYMBOL_BYTES = 24;
const RELA_BYTES = 24;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const SHN_UNDEF = 0;
const DF_1_PIE = 0x08000000;

const DT = {
  NULL: 0,
  NEEDED: 1,
  PLTRELSZ: 2,
  HASH: 4,
  STRTAB: 5,
  SYMTAB: 6,
  RELA: 7,
  RELASZ: 8,
  STRSZ: 10,
  SYMENT: 11,
  SONAME: 14,
  RPATH: 15,
  JMPREL: 23,
  RUNPATH: 29,
  GNU_HASH: 0x6ffffef5,
  FLAGS_1: 0x6ffffffb,
} as const;

/** The names of `process.arch` for e_machine, by 64-bit and 32-bit class. */
const MACHINES: Readonly<Record<number, string>> = {
  3: "ia32",
  8: "mips",
  20: "ppc",
  21: "ppc64",
  22: "s390x",
  40: "arm",
  62: "x64",
  183: "arm64",
  243: "riscv64",
  258: "loong64",
};

// Far above what linkers write, but low enough to reject a damaged file quickly.
const MAX_PROGRAM_HEADERS = 4096;
const MAX_DYNAMIC_ENTRIES = 65_536;
const MAX_PATH_BYTES = 4096;
/** The names of all symbols, in bytes: a damaged table may refer to the same long string from each of them. */
const MAX_NAME_BYTES = 128 * 1024 * 1024;

interface Segment {
  /** Virtual addresses. */
  start: number;
  fileEnd: number;
  /** In the file. */
  offset: number;
}

interface Header {
  machine: string;
  type: number;
  /** PT_LOAD: what is mapped. */
  segments: readonly Segment[];
  dynamic: Segment | undefined;
  interpreter: Segment | undefined;
}

function parseElf(source: ByteSource): ElfFile {
  const { path } = source;
  const { machine, type, segments, dynamic, interpreter } = readHeader(source);
  if (dynamic === undefined) {
    if (type === ET_EXEC) throw notAddon(path, "is a statically linked executable, not a shared object");
    throw notAddon(path, "has no dynamic section, so it cannot be loaded");
  }
  const table = new AddressSpace(source, segments);
  const entries = readDynamicEntries(table, dynamic);
  const strings = table.optional("string table", entries.get(DT.STRTAB)?.[0], entries.get(DT.STRSZ)?.[0]);
  const texts = (tag: number): string[] =>
    (entries.get(tag) ?? []).map((offset) => text(readString(path, strings, offset)));
  const symbols = strings === undefined ? [] : readSymbols(table, entries, strings);
  const isPie = ((entries.get(DT.FLAGS_1)?.[0] ?? 0) & DF_1_PIE) !== 0;
  const namesOf = (isWanted: (symbol: ElfSymbol) => boolean): string[] =>
    symbols.filter(isWanted).map(({ name }) => name);
  return {
    path,
    machine,
    type: type === ET_EXEC || isPie ? "executable" : "shared object",
    interpreter: interpreter === undefined ? undefined : readInterpreter(source, interpreter),
    needed: texts(DT.NEEDED),
    soname: texts(DT.SONAME)[0],
    runpath: texts(DT.RUNPATH)[0] ?? texts(DT.RPATH)[0],
    symbols,
    imports: namesOf(({ isDefined, isWeak }) => !isDefined && !isWeak),
    weakImports: namesOf(({ isDefined, isWeak }) => !isDefined && isWeak),
    exports: namesOf(({ isDefined }) => isDefined),
  };
}

function readHeader(source: ByteSource): Header {
  const { path, size } = source;
  const start = source.read(0, Math.min(size, SIGNATURE_BYTES));
  checkIdentification(path, start);
  if (size < HEADER_BYTES) throw truncated(path, HEADER_BYTES, size);
  const header = viewOf(start);
  const type = header.getUint16(16, true);
  checkType(path, type);
  const count = header.getUint16(56, true);
  const entrySize = header.getUint16(54, true);
  if (count === 0 || count > MAX_PROGRAM_HEADERS || entrySize !== PROGRAM_HEADER_BYTES) {
    throw damaged(path, `its header lists ${count} program headers of ${entrySize} bytes`);
  }
  const programHeaders = viewOf(source.read(offset64(path, header, 32), count * PROGRAM_HEADER_BYTES));
  const segments: Segment[] = [];
  let dynamic: Segment | undefined;
  let interpreter: Segment | undefined;
  for (let at = 0; at < programHeaders.byteLength; at += PROGRAM_HEADER_BYTES) {
    const kind = programHeaders.getUint32(at, true);
    if (kind !== PT_LOAD && kind !== PT_DYNAMIC && kind !== PT_INTERP) continue;
    const offset = offset64(path, programHeaders, at + 8);
    const address = offset64(path, programHeaders, at + 16);
    const length = offset64(path, programHeaders, at + 32);
    const segment: Segment = { start: address, fileEnd: address + length, offset };
    if (offset + length > size) throw truncated(path, offset + length, size);
    if (kind === PT_LOAD) segments.push(segment);
    else if (kind === PT_DYNAMIC) dynamic ??= segment;
    else interpreter ??= segment;
  }
  return { machine: machineName(header.getUint16(18, true)), type, segments, dynamic, interpreter };
}

function checkIdentification(path: string, start: Uint8Array): void {
  if (start[0] !== 0x7f || start[1] !== 0x45 || start[2] !== 0x4c || start[3] !== 0x46) throw notElf(path, start);
  if (start.length < 20) throw truncated(path, HEADER_BYTES, start.length);
  const isBigEndian = start[EI_DATA] === ELFDATA2MSB;
  if (!isBigEndian && start[EI_DATA] !== ELFDATA2LSB) throw damaged(path, `its byte order is ${start[EI_DATA]}`);
  const machine = machineName(viewOf(start).getUint16(18, !isBigEndian));
  if (start[EI_CLASS] === ELFCLASS32) {
    throw new ElfError("ERR_ELF_FOREIGN", path, `is a 32-bit file for ${machine}, but this is 64-bit ${process.arch}`);
  }
  if (start[EI_CLASS] !== ELFCLASS64) throw damaged(path, `its class is ${start[EI_CLASS]}`);
  if (isBigEndian) {
    throw new ElfError("ERR_ELF_FOREIGN", path, `is a big-endian file for ${machine}, but this is ${process.arch}`);
  }
}

function checkType(path: string, type: number): void {
  if (type === ET_DYN || type === ET_EXEC) return;
  if (type === ET_REL) {
    const remedy = "link it with gcc -shared, or run the build of its package again";
    throw new ElfError("ERR_ELF_NOT_ADDON", path, "is an object file that is not linked", remedy);
  }
  if (type === ET_CORE) throw notAddon(path, "is a core dump");
  throw damaged(path, `its type is ${type}`);
}

function machineName(machine: number): string {
  return MACHINES[machine] ?? `machine ${machine}`;
}

/** Reads tables at virtual addresses, as the dynamic linker does. */
class AddressSpace {
  readonly source: ByteSource;
  readonly #segments: readonly Segment[];

  constructor(source: ByteSource, segments: readonly Segment[]) {
    this.source = source;
    this.#segments = segments;
  }

  /** Returns the bytes of a table. `what` names it in messages. */
  read(what: string, address: number, length: number): Uint8Array {
    const segment = this.#segmentAt(what, address);
    if (address + length > segment.fileEnd) throw this.#outside(what, address, length);
    return this.source.read(segment.offset + address - segment.start, length);
  }

  /** Returns undefined if the dynamic section has no such table. */
  optional(what: string, address: number | undefined, length: number | undefined): Uint8Array | undefined {
    return address === undefined || length === undefined ? undefined : this.read(what, address, length);
  }

  /** Returns how many bytes of the file follow an address in its segment. */
  remaining(what: string, address: number): number {
    return this.#segmentAt(what, address).fileEnd - address;
  }

  #segmentAt(what: string, address: number): Segment {
    const segment = this.#segments.find(({ start, fileEnd }) => address >= start && address < fileEnd);
    if (segment === undefined) throw this.#outside(what, address, 0);
    return segment;
  }

  #outside(what: string, address: number, length: number): ElfError {
    const range = length === 0 ? "" : `, ${length} bytes,`;
    return damaged(this.source.path, `its ${what} at 0x${address.toString(16)}${range} is outside of its segments`);
  }
}

type DynamicEntries = ReadonlyMap<number, readonly number[]>;

/** Returns the values of each tag. */
function readDynamicEntries(table: AddressSpace, { start, fileEnd }: Segment): DynamicEntries {
  const { path } = table.source;
  const limit = MAX_DYNAMIC_ENTRIES * DYNAMIC_ENTRY_BYTES;
  const length = Math.min(fileEnd - start, limit);
  const bytes = table.read("dynamic section", start, length - (length % DYNAMIC_ENTRY_BYTES));
  const view = viewOf(bytes);
  const entries = new Map<number, number[]>();
  const used: ReadonlySet<number> = new Set(Object.values(DT));
  for (let at = 0; at < bytes.length; at += DYNAMIC_ENTRY_BYTES) {
    const tag = view.getUint32(at, true);
    if (view.getUint32(at + 4, true) !== 0 || !used.has(tag)) continue;
    if (tag === DT.NULL) break;
    const value = offset64(path, view, at + 8);
    const values = entries.get(tag);
    if (values === undefined) entries.set(tag, [value]);
    else values.push(value);
  }
  return entries;
}

/** Reads the global symbols. The dynamic linker ignores the local ones before them. */
function readSymbols(table: AddressSpace, entries: DynamicEntries, strings: Uint8Array): ElfSymbol[] {
  const { path } = table.source;
  const address = entries.get(DT.SYMTAB)?.[0];
  if (address === undefined) return [];
  const entrySize = entries.get(DT.SYMENT)?.[0] ?? SYMBOL_BYTES;
  if (entrySize !== SYMBOL_BYTES) throw damaged(path, `its dynamic symbols have ${entrySize} bytes each`);
  const count = countSymbols(table, entries, address);
  const bytes = table.read("table of dynamic symbols", address, count * SYMBOL_BYTES);
  const view = viewOf(bytes);
  const symbols: ElfSymbol[] = [];
  let nameBytes = 0;
  for (let at = SYMBOL_BYTES; at < bytes.length; at += SYMBOL_BYTES) {
    const binding = view.getUint8(at + 4) >> 4;
    const nameOffset = view.getUint32(at, true);
    if (binding === STB_LOCAL || nameOffset === 0) continue;
    const name = readString(path, strings, nameOffset);
    nameBytes += name.length;
    if (nameBytes > MAX_NAME_BYTES) throw damaged(path, "the names of its dynamic symbols overlap");
    symbols.push({
      name: text(name),
      isDefined: view.getUint16(at + 6, true) !== SHN_UNDEF,
      isWeak: binding === STB_WEAK,
      address: uint64(view, at + 8),
      size: uint64(view, at + 16),
    });
  }
  return symbols;
}

/**
 * Returns the number of dynamic symbols, which only the hash tables record.
 *
 * @see https://flapenguin.me/elf-dt-gnu-hash
 */
function countSymbols(table: AddressSpace, entries: DynamicEntries, symbols: number): number {
  const max = Math.floor(table.remaining("table of dynamic symbols", symbols) / SYMBOL_BYTES);
  const hash = entries.get(DT.HASH)?.[0];
  const gnuHash = entries.get(DT.GNU_HASH)?.[0];
  if (hash === undefined && gnuHash === undefined) return 0;
  const count =
    hash === undefined
      ? countByGnuHash(table, entries, gnuHash as number, max)
      : viewOf(table.read("hash table", hash, 8)).getUint32(4, true); // nchain
  if (count > max) throw damaged(table.source.path, `it lists ${count} dynamic symbols, but has room for ${max}`);
  return count;
}

/** Follows the last chain of a GNU hash table to its end: the last symbol. */
function countByGnuHash(table: AddressSpace, entries: DynamicEntries, address: number, max: number): number {
  const what = "GNU hash table";
  const header = viewOf(table.read(what, address, 16));
  const bucketCount = header.getUint32(0, true);
  const firstHashed = header.getUint32(4, true);
  const bloomBytes = header.getUint32(8, true) * 8;
  const buckets = viewOf(table.read(what, address + 16 + bloomBytes, bucketCount * 4));
  let last = 0;
  for (let at = 0; at < buckets.byteLength; at += 4) last = Math.max(last, buckets.getUint32(at, true));
  if (last < firstHashed) return countByRelocations(table, entries); // it exports no symbol
  const chains = address + 16 + bloomBytes + bucketCount * 4;
  const chain = chains + (last - firstHashed) * 4;
  // A chain ends at an odd value. Every link is a symbol, so there are at most `max`.
  const length = Math.min((max - last) * 4, table.remaining(what, chain));
  if (length <= 0) return max + 1;
  const links = viewOf(table.read(what, chain, length - (length % 4)));
  for (let at = 0; at < links.byteLength; at += 4) {
    if ((links.getUint32(at, true) & 1) === 1) return last + at / 4 + 1;
  }
  return max + 1;
}

/** A GNU hash table lists exports only. A file without exports still imports what its relocations refer to. */
function countByRelocations(table: AddressSpace, entries: DynamicEntries): number {
  const first = (tag: number): number | undefined => entries.get(tag)?.[0];
  const tables = [
    table.optional("relocation table", first(DT.RELA), first(DT.RELASZ)),
    table.optional("relocation table", first(DT.JMPREL), first(DT.PLTRELSZ)),
  ];
  let last = 0;
  for (const bytes of tables) {
    if (bytes === undefined) continue;
    const view = viewOf(bytes);
    // The upper half of r_info is the index of the symbol.
    for (let at = 12; at + 4 <= bytes.length; at += RELA_BYTES) last = Math.max(last, view.getUint32(at, true));
  }
  return last + 1;
}

/** Returns the bytes from `offset` to the next NUL. */
function readString(path: string, strings: Uint8Array | undefined, offset: number): Uint8Array {
  const end = strings === undefined || offset >= strings.length ? -1 : strings.indexOf(0, offset);
  if (strings === undefined || end < 0) throw damaged(path, `the name at ${offset} is outside of its string table`);
  return strings.subarray(offset, end);
}

function readInterpreter(source: ByteSource, { start, fileEnd, offset }: Segment): string {
  const bytes = source.read(offset, Math.min(fileEnd - start, MAX_PATH_BYTES));
  const end = bytes.indexOf(0);
  return text(bytes.subarray(0, end < 0 ? bytes.length : end));
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns a 64-bit integer. Values above 2^53, such as a random st_value, lose their low bits. */
function uint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

/** Returns a 64-bit offset, address or length, small enough that the sum of two is exact. */
function offset64(path: string, view: DataView, at: number): number {
  const value = uint64(view, at);
  if (value > 0xffff_ffff_ffff) throw damaged(path, `it contains the offset 0x${value.toString(16)}`);
  return value;
}

function damaged(path: string, reason: string): ElfError {
  return new ElfError("ERR_ELF_DAMAGED", path, `is damaged: ${reason}`, REINSTALL);
}
