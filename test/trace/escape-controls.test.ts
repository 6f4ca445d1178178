// Escapes of characters that control a terminal, or that hide or reorder text.

import { expect, setDefaultTimeout, test } from "bun:test";
import { escapeControls, escapeLines } from "../../src/kernel/escape-controls.ts";

setDefaultTimeout(60_000);

test("leaves text as it is, in any language", () => {
  for (const text of ["", "GET / HTTP/1.1", "größer → 中文 עברית", "\u{1f600}", "a\u0301"]) {
    expect(escapeControls(text)).toBe(text);
    expect(escapeLines(text)).toBe(text);
  }
});

test("escapes every control, bidirectional, zero-width and separator character, and lone surrogates", () => {
  const ranges: [number, number][] = [
    [0x00, 0x1f],
    [0x7f, 0x9f],
    [0xad, 0xad],
    [0x61c, 0x61c],
    [0x200b, 0x200f],
    [0x2028, 0x202e],
    [0x2060, 0x2064],
    [0x2066, 0x206f],
    [0xd800, 0xdfff],
    [0xfeff, 0xfeff],
  ];
  for (const [first, last] of ranges) {
    for (let code = first; code <= last; code++) {
      const escaped = `a\\u${code.toString(16).padStart(4, "0")}b`;
      const text = `a${String.fromCharCode(code)}b`;
      expect(escapeControls(text)).toBe(escaped);
      expect(escapeLines(text)).toBe(code === 9 || code === 10 ? text : escaped);
    }
  }
  expect(escapeControls("\u{e0041}")).toBe("\\udb40\\udc41"); // a tag character: invisible
});

test("keeps JSON valid and its meaning", () => {
  const value = { text: "\u009b31m\u202e\u{e0041}\x7f", n: [1] };
  expect(JSON.parse(escapeLines(JSON.stringify(value, null, 2)))).toEqual(value);
});
