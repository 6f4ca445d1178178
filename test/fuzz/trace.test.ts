// Damaged trace files: the reader returns events that every printer takes, or says which line is wrong.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { formatEvent, parseTrace, type TraceEvent, TraceError } from "../../src/index.ts";
import { parseChunks } from "../../src/trace/trace-file.ts";
import { toChromeTrace } from "../../src/tools/chrome-trace.ts";
import { TraceText } from "../../src/tools/trace-text.ts";
import { fuzz, isFuzzRun } from "../support/fuzzing.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);
if (isFuzzRun) setDefaultTimeout(10_000_000);

/** The lines of a real trace. */
function recorded(): string[] {
  const events: TraceEvent[] = [];
  using harness = new ServerHarness({ trace: { listener: (event) => events.push(event), bytes: true, lines: true } });
  for (const text of [GET, GET, "GET / HTTP/1.1\r\n\r\n", ""]) {
    const client = harness.client(text);
    harness.settle();
    if (text === GET) harness.receive(client, complete);
    client.close();
    harness.settle();
  }
  return events.map((event) => JSON.stringify(event));
}

const lines = recorded();
const json = fc.oneof(fc.jsonValue(), fc.constantFrom(-1, 2 ** 31, 1e300, 2 ** 53, "x", "", null, [], {}, [[1]], [[1, 2]], { path: "\0" }, { family: 7 })); // prettier-ignore

interface Change {
  line: number;
  how: string;
  at: number;
  value: unknown;
  byte: number;
}

/** Changes a line: a field gets another value or is removed, a byte is changed, or the line is repeated, removed or cut. */
const change: fc.Arbitrary<Change> = fc.record({
  line: fc.nat(lines.length - 1),
  how: fc.constantFrom(
    "field",
    "field",
    "field",
    "remove field",
    "byte",
    "byte",
    "repeat",
    "remove",
    "cut",
    "add field",
  ),
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  value: json,
  byte: fc.nat(255),
});

function changed(line: string, { how, at, value, byte }: Change): string[] {
  const index = Math.floor(at * line.length);
  switch (how) {
    case "byte":
      return [line.slice(0, index) + String.fromCharCode(byte) + line.slice(index + 1)];
    case "repeat":
      return [line, line];
    case "remove":
      return [];
    case "cut":
      return [line.slice(0, index)];
    default: {
      let record: Record<string, unknown>;
      try {
        record = JSON.parse(line) as Record<string, unknown>;
      } catch {
        return [line]; // another change has damaged it already
      }
      if (how === "add field") return [JSON.stringify({ ...record, call: value, awayUs: value, program: value })];
      const names = Object.keys(record);
      const name = names[Math.floor(at * names.length)] as string;
      return [JSON.stringify({ ...record, [name]: how === "field" ? value : undefined })];
    }
  }
}

/** Prints events in all ways. */
function printAll(events: readonly TraceEvent[]): void {
  for (const event of events) formatEvent(event);
  for (const isNumeric of [true, false]) {
    const text = new TraceText({ isNumeric, hasTimestamps: true, print: () => {} });
    for (const event of events) text.add(event);
  }
  JSON.parse([...toChromeTrace(events)].join(""));
}

test("returns events that every printer takes, or throws a TraceError; in pieces as a whole", () =>
  fuzz(
    "trace",
    fc.property(fc.array(change, { maxLength: 4 }), fc.integer({ min: 1, max: 200 }), (changes, size) => {
      const all = lines.map((line) => [line]);
      for (const one of changes) all[one.line] = (all[one.line] as string[]).flatMap((line) => changed(line, one));
      const text = all.flat().map((line) => `${line}\n`).join(""); // prettier-ignore
      let events: TraceEvent[];
      try {
        events = parseTrace(text, "f");
      } catch (error) {
        expect(error).toBeInstanceOf(TraceError);
        expect((error as Error).message).toMatch(/^f(?:, line \d+: | is )/);
        return;
      }
      const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      expect([...parseChunks(pieces, "f")]).toEqual(events);
      printAll(events);
    }),
    500,
  ));
