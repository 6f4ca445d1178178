// Rewrites heads that llhttp rejects but clients send, and that can be understood in only one way.

import { Buffer } from "node:buffer";

const SPACE = 0x20;
const CR = 13;
const LF = 10;
const LETTER = 0x78; // x

/** A request line of HTTP/1.2 to 1.9, up to its minor version. */
const laterVersion = /^\S+ \S+ HTTP\/1\.(?=[2-9](?:\r|\n|$))/;
/** A length and the white space after it, with a tab. */
const lengthWithTab = /(\ncontent-length:[ \t]*\d+)([ \t]*\t[ \t]*)(?=\r|\n|$)/gi;

/**
 * Returns a copy of the same length that llhttp accepts; undefined if there is nothing to change. Only llhttp sees the copy:
 *
 * - bytes above 127 in the target become a letter. Browsers escape them, but many clients send UTF-8 as it is.
 * - HTTP/1.2 to 1.9 become HTTP/1.1: RFC 9110, 2.5.
 * - tabs after the value of Content-Length become spaces: RFC 9110, 5.5.
 *
 * @param head the beginning of the input, which may contain more than a head, or less
 */
export function normalizeHead(head: Uint8Array): Buffer | undefined {
  const copy = Buffer.from(head);
  let isChanged = maskTarget(copy);
  const text = copy.toString("latin1");
  const version = laterVersion.exec(text)?.[0];
  if (version !== undefined) {
    copy.write("1", version.length, "latin1");
    isChanged = true;
  }
  for (const { index, 1: field = "", 2: space = "" } of text.matchAll(lengthWithTab)) {
    copy.fill(SPACE, index + field.length, index + field.length + space.length);
    isChanged = true;
  }
  return isChanged ? copy : undefined;
}

/** Replaces the bytes above 127 in the target; returns whether there are any. */
function maskTarget(head: Buffer): boolean {
  let isChanged = false;
  const start = head.indexOf(SPACE) + 1;
  if (start === 0) return false;
  for (let at = start; at < head.length; at++) {
    const byte = head[at] as number;
    if (byte === SPACE || byte === CR || byte === LF) break;
    if (byte < 0x80) continue;
    head[at] = LETTER;
    isChanged = true;
  }
  return isChanged;
}
