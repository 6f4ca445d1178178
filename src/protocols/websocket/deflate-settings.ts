// The setting `perMessageDeflate`: how messages are compressed.

import { invalidType, outOfRange } from "../../kernel/errors.ts";

/** How a side compresses: see `perMessageDeflate`. */
export type WebSocketCompressor =
  | "disable"
  | "shared"
  | "dedicated"
  | "3KB"
  | "4KB"
  | "8KB"
  | "16KB"
  | "32KB"
  | "64KB"
  | "128KB"
  | "256KB";

/** How one direction is compressed. */
export interface CompressorSettings {
  isDedicated: boolean;
  windowBits: number;
  memLevel: number;
}

export interface DeflateSettings {
  /** Undefined: messages are received compressed, but not sent. */
  compress: CompressorSettings | undefined;
  decompress: CompressorSettings;
}

const shared: CompressorSettings = { isDedicated: false, windowBits: 15, memLevel: 8 };
const dedicated = (windowBits: number, memLevel: number): CompressorSettings => ({
  isDedicated: true,
  windowBits,
  memLevel,
});

/** A compressor takes 2 ** (windowBits + 2) + 2 ** (memLevel + 9) bytes. */
const COMPRESSORS: Readonly<Record<WebSocketCompressor, CompressorSettings | undefined>> = {
  disable: undefined,
  shared,
  dedicated: dedicated(15, 8),
  "3KB": dedicated(9, 1),
  "4KB": dedicated(9, 2),
  "8KB": dedicated(10, 3),
  "16KB": dedicated(11, 4),
  "32KB": dedicated(12, 5),
  "64KB": dedicated(13, 6),
  "128KB": dedicated(14, 7),
  "256KB": dedicated(15, 8),
};

/** A decompressor takes 2 ** windowBits bytes. */
const DECOMPRESSORS: Readonly<Record<WebSocketCompressor, CompressorSettings | undefined>> = {
  ...COMPRESSORS,
  "3KB": dedicated(11, 8),
  "4KB": dedicated(12, 8),
  "8KB": dedicated(13, 8),
  "16KB": dedicated(14, 8),
  "32KB": dedicated(15, 8),
  "64KB": dedicated(15, 8),
  "128KB": dedicated(15, 8),
  "256KB": dedicated(15, 8),
};

/** Checks `perMessageDeflate`. @throws {TypeError} or {RangeError} if it is not valid */
export function resolveDeflate(value: unknown): DeflateSettings | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return { compress: shared, decompress: shared };
  if (typeof value !== "object" || value === null) {
    throw invalidType("websocket.perMessageDeflate", "true, false, or an object { compress, decompress }", value);
  }
  const { compress: sent, decompress: received } = value as { compress?: unknown; decompress?: unknown };
  const compress = compressor("compress", COMPRESSORS, sent);
  const decompress = compressor("decompress", DECOMPRESSORS, received);
  if (compress === undefined && decompress === undefined) return undefined;
  // A client may always compress, so that a decompressor is always needed.
  return { compress: sent === undefined ? shared : compress, decompress: decompress ?? shared };
}

function compressor(
  name: string,
  table: Readonly<Record<string, CompressorSettings | undefined>>,
  value: unknown,
): CompressorSettings | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return shared;
  if (typeof value === "string" && Object.hasOwn(table, value)) return table[value];
  const expected = `true, false, or one of ${Object.keys(table).join(", ")}`;
  if (typeof value !== "string") throw invalidType(`websocket.perMessageDeflate.${name}`, expected, value);
  throw outOfRange(`websocket.perMessageDeflate.${name}`, expected, value);
}
