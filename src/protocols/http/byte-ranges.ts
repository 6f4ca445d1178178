// The ranges of bytes that a request asks for: RFC 9110, 14.

/** A range of a file. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** More ranges than this are not served one by one: the whole file is sent. */
const MAX_RANGES = 64;

/**
 * Parses a Range field.
 *
 * @param size of the file in bytes, greater than 0
 * @returns the ranges, in the order of the request; empty if none of them is in the file (416); undefined if the field is ignored:
 *   it is malformed, has another unit than bytes, or its ranges are too many, or longer in total than the file
 */
export function parseRanges(field: string, size: number): ByteRange[] | undefined {
  const set = /^bytes=[ \t]*(.*)$/i.exec(field)?.[1];
  if (set === undefined) return undefined;
  const specs = set
    .split(",", MAX_RANGES + 1)
    .map((spec) => /^[ \t]*(.*?)[ \t]*$/.exec(spec)?.[1] ?? "")
    .filter((spec) => spec !== ""); // empty members of a list are ignored: RFC 9110, 5.6.1
  if (specs.length === 0 || specs.length > MAX_RANGES) return undefined;
  const ranges: ByteRange[] = [];
  let total = 0;
  for (const spec of specs) {
    const match = /^(\d*)-(\d*)$/.exec(spec);
    if (match === null || spec === "-") return undefined;
    const [, first = "", last = ""] = match;
    if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
    const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
    const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
    if (start >= end) continue; // not in the file
    ranges.push({ start, length: end - start });
    total += end - start;
  }
  return total > size ? undefined : ranges;
}
