// Field lines: RFC 9112, 5; RFC 9110, 5.

import { answered, type Case, each, get, head, rejected, shown } from "../case.ts";

const sees = (name: string, line: string, headers: Readonly<Record<string, string | null>>): Case =>
  answered(`9110 5: ${name}`, get(line), { headers });

const wrong: readonly (readonly [name: string, line: string])[] = [
  ["a space before the colon", "X : 1"],
  ["a tab before the colon", "X\t: 1"],
  ["spaces for a name", "  : 1"],
  ["no name", ": 1"],
  ["a colon alone", ":"],
  ["no colon", "X"],
  ["no colon, and words", "a line of words"],
  ["a space in the name", "X Y: 1"],
  ["a bare CR in the value", "X: a\rb"],
  ["a bare CR at the value's end", "X: a\r"],
  ["a bare CR before the value", "X:\ra"],
  ["a bare CR in the name", "X\rY: 1"],
  ["a bare CR before the name", "\rX: 1"],
  ["a bare CR before the colon", "X\r: 1"],
  ["obs-fold with a space", "X: 1\r\n 2"],
  ["obs-fold with a tab", "X: 1\r\n\t2"],
  ["obs-fold of nothing", "X: 1\r\n "],
  ["obs-fold that looks like a field", "X: 1\r\n Y: 2"],
  ["obs-fold after an empty value", "X:\r\n 1"],
];

export const fields: readonly Case[] = [
  sees("any punctuation in a value", 'X: a value, with: "all" (sorts) of; it\'s = [text] <>{}\\/?@', {
    x: 'a value, with: "all" (sorts) of; it\'s = [text] <>{}\\/?@',
  }),
  sees("no white space before a value", "X:1", { x: "1" }),
  sees("any white space before a value", "X: \t  \t1", { x: "1" }),
  sees("any white space after a value", "X: 1 \t \t", { x: "1" }),
  sees("white space within a value", "X: 1 \t 2", { x: "1 \t 2" }),
  sees("an empty value", "X:", { x: "" }),
  sees("an empty value of white space", "X: \t ", { x: "" }),
  sees("a value of colons", "X: ::", { x: "::" }),
  sees("a name in any case", "X-NaMe: Value", { "x-name": "Value" }),
  sees("a name of all characters that a token may contain", "!#$%&'*+-.^_`|~09AZaz: 1", {
    "!#$%&'*+-.^_`|~09azaz": "1",
  }),
  sees("a name of one character", "x: 1", { x: "1" }),
  sees("a name that is a property of every object", "constructor: 1", { constructor: "1" }),
  sees("bytes above 127 in a value", "X: \x80\xe4\xff", { x: "\x80\xe4\xff" }),
  sees("a value of 4000 octets", `X: ${"v".repeat(4000)}`, { x: "v".repeat(4000) }),
  answered("9110 5.3: field lines with the same name are combined in order", get("X: 1", "Y: 0", "x: 2", "X: 3"), {
    headers: { x: "1, 2, 3", y: "0" },
  }),
  answered("9110 5.3: Cookie lines are combined with semicolons (6265 5.4)", get("Cookie: a=1", "Cookie: b=2"), {
    headers: { cookie: "a=1; b=2" },
  }),
  answered("9110 5.1: unknown fields are ignored", get("X-Unknown: 1", "Sec-Future: ?1", "Z: ;;;;")),
  answered(
    "9112 5: fields of one request do not leak into the next",
    get("X: 1") + get(),
    { headers: { x: "1" } },
    {
      headers: { x: null },
    },
  ),
  ...wrong.map(([name, line]) => rejected(400, `9112 5: ${name} is rejected`, get(line, "Y: 2"))),
  rejected(400, "9112 2.2: a space before the first field is rejected", head("GET / HTTP/1.1", " Host: a", "X: 1")),
  rejected(400, "9112 2.2: a tab before the first field is rejected", head("GET / HTTP/1.1", "\tHost: a", "X: 1")),
  rejected(
    400,
    "9112 2.2: a line of white space before the fields is rejected",
    head("GET / HTTP/1.1", " ", "Host: a"),
  ),
  rejected(400, "9112 2.2: a line of white space after the fields is rejected", get(" ")),
  ...each([...'()<>@,;\\"/[]?={}', "\0", "\x01", "\x1f", "\x7f", "\x80", "\xe4"], (byte) =>
    rejected(400, `9110 5.1: ${shown(byte)} in a name is rejected`, get(`X${byte}Y: 1`)),
  ),
  ...each(["\0", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f"], (byte) =>
    rejected(400, `9110 5.5: ${shown(byte)} in a value is rejected`, get(`X: a${byte}b`)),
  ),
];
