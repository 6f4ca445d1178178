// A reproducible byte pattern of any length, for detecting missing and misplaced bytes.

/** A prime, so that it is not a multiple of any buffer size. */
const PERIOD = 1_000_003;

const period = new Uint8Array(PERIOD);
for (let i = 0, x = 12_345; i < PERIOD; i++) period[i] = (x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0) >>> 16;

/** Returns a copy of the bytes from `start` to `end`. */
export function pattern(start: number, end: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(end - start);
  for (let at = start; at < end;) {
    const from = at % PERIOD;
    const count = Math.min(end - at, PERIOD - from);
    bytes.set(period.subarray(from, from + count), at - start);
    at += count;
  }
  return bytes;
}

/** Yields the first `length` bytes in pieces, which must not be modified. */
export function* patternPieces(length: number): Generator<Uint8Array> {
  for (let at = 0; at < length; at += PERIOD) yield period.subarray(0, Math.min(PERIOD, length - at));
}

/** Returns the SHA-256 of the first `length` bytes in hexadecimal. */
export function patternHash(length: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const piece of patternPieces(length)) hasher.update(piece);
  return hasher.digest("hex");
}
