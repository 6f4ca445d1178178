// The kind of a file that is not an ELF file, recognized by its first bytes.

import { Buffer } from "node:buffer";
import { ElfError, REINSTALL } from "./elf-error.ts";

/** The number of bytes that `notElf` reads. */
export const SIGNATURE_BYTES = 64;

const FETCH_LFS = "run git lfs pull, or reinstall its package";
const LINK = "link it with gcc -shared, or run the build of its package again";

/** First bytes, what they mean, and what to do. */
const SIGNATURES: readonly (readonly [bytes: string, meaning: string, remedy?: string])[] = [
  ["MZ", 'starts with "MZ", so it was built for Windows'],
  ["\xcf\xfa\xed\xfe", "is a Mach-O file, so it was built for macOS"],
  ["\xce\xfa\xed\xfe", "is a Mach-O file, so it was built for macOS"],
  ["\xfe\xed\xfa\xcf", "is a Mach-O file, so it was built for macOS"],
  ["\xfe\xed\xfa\xce", "is a Mach-O file, so it was built for macOS"],
  ["\xca\xfe\xba\xbe", "is a universal Mach-O file, so it was built for macOS"],
  ["\xca\xfe\xba\xbf", "is a universal Mach-O file, so it was built for macOS"],
  ["version https://git-lfs", "is a Git LFS pointer, not the file itself", FETCH_LFS],
  ["!<arch>\n", "is a static library", LINK],
  ["!<thin>\n", "is a static library", LINK],
  ["\0asm", "is a WebAssembly module", "import it as WebAssembly"],
  ["\x1f\x8b", "is a gzip archive", "unpack it"],
  ["PK\x03\x04", "is a zip archive", "unpack it"],
];

const MAX_QUOTED_LENGTH = 24;

/**
 * Returns the error for a file that does not start with the ELF signature.
 *
 * @param start its first `SIGNATURE_BYTES` bytes, or all if it is shorter
 */
export function notElf(path: string, start: Uint8Array): ElfError {
  if (start.length === 0) return new ElfError("ERR_NOT_ELF", path, "is empty", REINSTALL);
  const text = String.fromCharCode(...start);
  const known = SIGNATURES.find(([bytes]) => text.startsWith(bytes));
  const [, meaning, remedy] = known ?? ["", describe(text), REINSTALL];
  return new ElfError("ERR_NOT_ELF", path, `is not an ELF file: it ${meaning}`, remedy);
}

/** Returns whether an error says that the file was built for another operating system. */
export function isForOtherSystem(error: unknown): boolean {
  return error instanceof ElfError && /built for (?:Windows|macOS)/.test(error.reason);
}

function describe(text: string): string {
  if (/^[\t\n\r\x20-\x7e]+$/.test(text)) {
    const [line = ""] = text.trimStart().split(/[\r\n]/, 1);
    return `is a text file that starts with ${JSON.stringify(line.slice(0, MAX_QUOTED_LENGTH))}`;
  }
  return `starts with the bytes ${Buffer.from(text.slice(0, 4), "latin1")
    .toString("hex")
    .replace(/..(?=.)/g, "$& ")}`;
}
