// Random lines at the debugger's prompt: the parsers keep every character, and a session answers each line and ends normally.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TraceEvent } from "../../src/index.ts";
import { parseLocation } from "../../src/tools/debugger/breakpoint-location.ts";
import { isJavaScript, splitCommands } from "../../src/tools/debugger/command-syntax.ts";
import { parseFdFilter } from "../../src/tools/inspector/fd-filter.ts";
import { fuzz, isFuzzRun } from "../support/fuzzing.ts";
import { endPrograms } from "../support/programs.ts";
import { ServerHarness, GET } from "../support/server.ts";
import { typedInto } from "../support/step-session.ts";

setDefaultTimeout(60_000);
if (isFuzzRun) setDefaultTimeout(10_000_000);
afterEach(endPrograms);

const LINES_OF_A_SESSION = 120;

const word = fc.constantFrom(
  "b", "break", "tbreak", "watch", "cl", "clear", "condition", "disable", "enable", "ignore", "commands", "connect", "send", "recv", "close",
  "p", "print", "pp", "!", "display", "undisplay", "h", "help", "?", "back", "fwd", "ready", "trace", "a", "args", "i", "info", "why", "diff",
  "n", "next", "s", "step", "r", "return", "c", "continue", "unt", "until", "l", "list", "ll", "bt", "where", "u", "up", "d", "down", "locals",
  "x", "", "fd", "iteration", "state", "EPOLLIN", "EAGAIN", "accept", "wait", "idle", "event",
); // prettier-ignore
const piece = fc.oneof(
  { weight: 6, arbitrary: word },
  {
    weight: 3,
    arbitrary: fc.constantFrom("0", "1", "3", "5", "99", "-1", "1.5", "999999999", "9999999999", "1e3", "0x3"),
  },
  { weight: 2, arbitrary: fc.constantFrom(";;", ";", ",", "(", ")", "[", "{", "}", "'", '"', "`", "\\", "=", "==", "=>", "..", ".", "//", "\t") }, // prettier-ignore
  { weight: 1, arbitrary: fc.constantFrom("fd === 3", "nothing.at.all", "1 +", "event", "({})", "[1,2", "'a;;b'", "x ;; y", "throw 1", "null.x", "\u001b[31m", "\u{1f600}", "é") }, // prettier-ignore
);
const line = fc
  .array(piece, { maxLength: 5 })
  .chain((pieces) => fc.constantFrom(" ", " ", " ", "").map((separator) => pieces.join(separator)))
  .filter((text) => !/[\r\n]/.test(text));

test("splitting a line keeps every character but separators and spaces", () =>
  fuzz(
    "prompt syntax",
    fc.property(fc.oneof(line, fc.string()), (text) => {
      const parts = splitCommands(text);
      const compact = (one: string): string => one.replace(/[\s;]/g, "");
      expect(compact(parts.join(""))).toBe(compact(text));
      for (const part of parts) {
        const [, first = "", rest = ""] = /^(\S*)([^]*)$/.exec(part) ?? [];
        expect(typeof isJavaScript(first, rest)).toBe("boolean");
      }
    }),
    3_000,
  ));

test("breakpoint locations and filters are parsed, or rejected with a hint", () =>
  fuzz(
    "prompt arguments",
    fc.property(fc.oneof(line, fc.string()), (text) => {
      for (const parse of [
        (): unknown => parseLocation(text, (file, at) => `${file}:${at}`),
        (): unknown => parseFdFilter(text),
      ]) {
        // prettier-ignore
        try {
          parse();
        } catch (error) {
          expect((error as Error).constructor).toBe(Error);
          expect((error as Error).message).toMatch(/is not a breakpoint location: |is unknown: use |is not a number: write /);
        }
      }
    }),
    3_000,
  ));

let folder = "";
let trace = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  trace = join(folder, "trace.jsonl");
  const events: TraceEvent[] = [];
  {
    using harness = new ServerHarness({ trace: { listener: (event) => events.push(event), lines: true } });
    for (const text of [GET, GET + GET, "nonsense\r\n\r\n"]) harness.client(text);
    harness.settle();
  }
  writeFileSync(trace, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("a session answers every line and ends normally", () =>
  fuzz(
    "prompt session",
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: LINES_OF_A_SESSION, size: "max" }), async (lines) => {
      // `commands` reads lines until `end`; blank answers follow for questions.
      const typed = [...lines, "end", "", "q", "y"];
      const { text, code } = await typedInto(typed, ["replay", trace, "--step"]);
      expect(code).toBe(0);
      expect(text).not.toMatch(/\bat .*src\/tools\/|undefined is not|Cannot read propert|epoll-hello bug/);
    }),
    2,
  ));
