// The decoder of chunked bodies, compared with the grammar of RFC 9112, 7.1 as a regular expression.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { ChunkedDecoder, MALFORMED } from "../../src/protocols/http/chunked-decoder.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

const numRuns = scaled(3_000, 100_000);

// The grammar, written as it is in the RFC.
const TOKEN = "[!#$%&'*+.^_`|~\\w-]+";
const BWS = "[ \\t]*";
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const EXTENSIONS = `(?:${BWS};${BWS}${TOKEN}(?:${BWS}=${BWS}(?:${TOKEN}|${QUOTED}))?)*`;
const sizeLine = new RegExp(`^([\\da-fA-F]+)${EXTENSIONS}\\r\\n`);
const trailers = new RegExp(`^(?:${TOKEN}:[\\t \\x21-\\x7e\\x80-\\xff]*\\r\\n)*\\r\\n`);

interface Decoded {
  /** Bytes of the body, or undefined if it is malformed or not complete. */
  size: number | undefined;
  content: string;
}

/** Decodes a body by the grammar. */
function byGrammar(text: string): Decoded {
  let at = 0;
  let content = "";
  for (;;) {
    const line = sizeLine.exec(text.slice(at));
    const length = parseInt(line?.[1] ?? "", 16);
    if (line === null || !Number.isSafeInteger(length)) return { size: undefined, content };
    at += line[0].length;
    if (length === 0) {
      const end = trailers.exec(text.slice(at));
      return { size: end === null ? undefined : at + end[0].length, content };
    }
    if (text.slice(at + length, at + length + 2) !== "\r\n") return { size: undefined, content };
    content += text.slice(at, at + length);
    at += length + 2;
  }
}

/** Decodes a body that arrives in pieces. */
function byDecoder(text: string, cuts: readonly number[]): Decoded {
  const decoder = new ChunkedDecoder();
  const bytes = Buffer.from(`..${text}`, "latin1");
  let content = "";
  let at = 2;
  const ends = [...new Set(cuts.map((cut) => 2 + (cut % (text.length + 1))))].toSorted((a, b) => a - b);
  for (const end of [...ends, bytes.length]) {
    if (decoder.isComplete) break;
    const count = decoder.decode(bytes, at, end);
    if (count === MALFORMED) return { size: undefined, content };
    content += Buffer.from(decoder.content(bytes, at)).toString("latin1");
    at += count;
  }
  return { size: decoder.isComplete ? at - 2 : undefined, content };
}

const space = fc.stringMatching(/^[ \t]{0,2}$/);
const token = fc.stringMatching(/^[!#$%&'*+.^_`|~\w-]{1,4}$/);
const quoted = fc.stringMatching(/^"(?:[ \t!#-[\]-~]|\\[ \t!-~]){0,5}"$/);
const extension = fc
  .tuple(space, space, token, fc.option(fc.tuple(space, space, fc.oneof(token, quoted))))
  .map(([a, b, name, value]) => `${a};${b}${name}${value === null ? "" : `${value[0]}=${value[1]}${value[2]}`}`);
const extensions = fc.array(extension, { maxLength: 2 }).map((all) => all.join(""));
const content = fc.string({ unit: fc.constantFrom("a", "0", "\r", "\n", ";", "\xff"), minLength: 1, maxLength: 20 });
const chunk = fc
  .tuple(content, extensions, fc.nat(2))
  .map(([data, ext, zeros]) => `${"0".repeat(zeros)}${data.length.toString(16)}${ext}\r\n${data}\r\n`);
const trailer = fc
  .tuple(token, fc.stringMatching(/^[ \t!-~\x80-\xff]{0,5}$/))
  .map(([name, value]) => `${name}:${value}\r\n`);
const body = fc
  .tuple(fc.array(chunk, { maxLength: 4 }), extensions, fc.array(trailer, { maxLength: 2 }))
  .map(([chunks, ext, fields]) => `${chunks.join("")}0${ext}\r\n${fields.join("")}\r\n`);
const cuts = fc.array(fc.nat(), { maxLength: 5 });

test("decodes what the grammar allows, however it is cut, and leaves what follows", () => {
  fc.assert(
    fc.property(body, fc.constantFrom("", "GET / HTTP/1.1\r\n", "\r\n", "0\r\n\r\n"), cuts, (text, rest, at) => {
      const expected = byGrammar(text + rest);
      expect(expected.size).toBe(text.length);
      expect(byDecoder(text + rest, at)).toEqual(expected);
    }),
    { numRuns },
  );
});

test("rejects exactly what the grammar does not allow", () => {
  const odd = fc.constantFrom(
    "\r",
    "\n",
    "\r\n",
    " ",
    "\t",
    ";",
    "=",
    '"',
    "\\",
    "0",
    "f",
    "g",
    "\0",
    "\x7f",
    "\x80",
    ":",
    "",
  );
  fc.assert(
    fc.property(body, fc.nat(), odd, fc.boolean(), cuts, (text, where, inserted, replaces, at) => {
      const position = where % text.length;
      const changed = text.slice(0, position) + inserted + text.slice(position + (replaces ? 1 : 0));
      const expected = byGrammar(changed);
      const decoded = byDecoder(changed, at);
      expect(decoded.size).toBe(expected.size);
      if (expected.size !== undefined) expect(decoded.content).toBe(expected.content);
    }),
    { numRuns },
  );
});
