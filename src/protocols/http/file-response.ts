// What a response with a file contains: all of it, parts of it, or nothing, because the client has it already.

import { type ByteRange, parseRanges } from "./byte-ranges.ts";
import type { OpenedFile } from "./file-source.ts";
import { parseHttpDate } from "./http-date.ts";
import { failedPrecondition, isRangeCurrent, type Validators } from "./preconditions.ts";
import type { RequestHead } from "./request-head.ts";

export interface FileSelection {
  readonly status: 200 | 206 | 304 | 412 | 416;
  /** The fields to add to the handler's. */
  readonly fields: string;
  /** The parts to send, relative to the start of the opened slice; none with 304, 412 and 416. */
  readonly ranges: readonly ByteRange[];
}

const NS_PER_SECOND = 1_000_000_000n;

/**
 * Selects what answers a GET or HEAD request to a file: RFC 9110, 13 and 14. What the handler has set stays: its ETag and
 * Last-Modified are those that are compared, and if it has set Accept-Ranges to `none`, all of the file is sent.
 *
 * @param head the request's
 * @param headers the handler's
 * @param file one that is not empty
 */
export function selectFile(head: RequestHead, headers: Headers, file: OpenedFile): FileSelection {
  const { start, size, fileSize } = file;
  const acceptRanges = headers.get("accept-ranges");
  const range = head.method === "GET" && acceptRanges !== "none" ? head.field("range") : undefined;
  const isRangeApplied = range !== undefined && isSliceFor(range, file);

  const ownTag = headers.get("etag");
  const ownDate = headers.get("last-modified");
  const modifiedMs = Math.min(Number(file.modifiedNs / NS_PER_SECOND) * 1000, Date.now());
  const validators: Validators = {
    etag:
      ownTag ?? (isRangeApplied ? entityTag(file.modifiedNs, 0, fileSize) : entityTag(file.modifiedNs, start, size)),
    modifiedMs: ownDate === null ? modifiedMs : parseHttpDate(ownDate),
  };
  let fields = acceptRanges === null ? "accept-ranges: bytes\r\n" : "";
  if (ownTag === null) fields += `etag: ${validators.etag}\r\n`;
  if (ownDate === null) fields += `last-modified: ${new Date(modifiedMs).toUTCString()}\r\n`;

  const failed = failedPrecondition((name) => head.field(name), validators);
  if (failed !== undefined) return { status: failed, fields, ranges: [] };
  const all: FileSelection = { status: 200, fields, ranges: [{ start: 0, length: size }] };
  if (range === undefined) return all;
  if (isRangeApplied) {
    return { ...all, status: 206, fields: fields + contentRange({ start, length: size }, fileSize) };
  }
  const ifRange = head.field("if-range");
  if (ifRange !== undefined && !isRangeCurrent(ifRange, validators)) return all;
  const ranges = parseRanges(range, size);
  if (ranges === undefined) return all;
  const [first] = ranges;
  if (first === undefined) return { status: 416, fields: `${fields}content-range: bytes */${size}\r\n`, ranges };
  if (ranges.length === 1) fields += contentRange(first, size);
  return { status: 206, fields, ranges };
}

/** Returns the line that says which part of a file this is. */
export function contentRange({ start, length }: ByteRange, size: number): string {
  return `content-range: bytes ${start}-${start + length - 1}/${size}\r\n`;
}

/**
 * Returns whether the handler has responded to a Range with the slice that it asks for, or with the beginning of that. Any other
 * slice is a resource of its own, whose ranges count from its start.
 */
function isSliceFor(range: string, { start, size, fileSize }: OpenedFile): boolean {
  if (start === 0 && size === fileSize) return false;
  const ranges = parseRanges(range, fileSize);
  const [first] = ranges ?? [];
  return ranges?.length === 1 && first?.start === start && first.length >= size;
}

/** Returns a strong tag: it changes whenever the file does, down to the resolution of the file system's times. */
function entityTag(modifiedNs: bigint, start: number, size: number): string {
  const slice = start === 0 ? "" : `-${start.toString(16)}`;
  return `"${modifiedNs.toString(16)}-${size.toString(16)}${slice}"`;
}
