// Trace files: reading back what was written, converting version 1, and rejecting incomplete files.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatEvent, parseTrace, readTrace, TRACE_VERSION, type TraceEvent } from "../../src/index.ts";
import { complete, GET, ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

/** Recorded by the last release that wrote version 1: a server that handles one slow request. */
const versionOne = join(import.meta.dir, "fixtures/version-1.jsonl");

function trace(): TraceEvent[] {
  const events: TraceEvent[] = [];
  using harness = new ServerHarness({ trace: { listener: (event) => events.push(event), bytes: true, lines: true } });
  harness.receive(harness.client(GET), complete);
  return events;
}

test("reads back what was written, event for event", () => {
  const events = trace();
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  const parsed = parseTrace(text, "a trace");
  expect(parsed).toEqual(events);
  expect(parsed.map((event) => formatEvent(event))).toEqual(events.map((event) => formatEvent(event)));
});

test("rejects what is not a complete trace, with the line and the reason", () => {
  const lines = trace().map((event) => JSON.stringify(event));
  const [first = "", second = "", ...rest] = lines;
  const withVersion = (version: string): string => first.replace(`"version":${TRACE_VERSION}`, `"version":${version}`);
  const cases: [string[], string][] = [
    [[], 'f is empty: a trace starts with a "begin" event'],
    [["hello"], "f, line 1: not valid JSON. Traces are written by --trace-file and --trace=json"],
    [["3"], "f, line 1: not a trace event"],
    [["null"], "f, line 1: not a trace event"],
    [[first, "[]"], "f, line 2: not a trace event"],
    [[first, '{"type":"wait"}'], "f, line 2: not a trace event"],
    [[second], 'f is not a complete trace: the "begin" event is missing'],
    [[withVersion("99")], "f is a trace of version 99; versions 1 and 2 are supported"],
    [[withVersion('"new"')], "f is a trace of an unknown version; versions 1 and 2 are supported"],
    [[first, ...rest], "f, line 2: expected event 2, found event 3; lines of the trace are missing or duplicated"],
    [[first, second, second], "f, line 3: expected event 3, found event 2"],
    [[first, second.slice(0, -5)], "f, line 2: not valid JSON"],
    [[first, "", second], "f, line 2: not valid JSON"],
  ];
  for (const [text, message] of cases) {
    expect(() => parseTrace(text.map((line) => `${line}\n`).join(""), "f")).toThrow(message);
  }
});

test("converts a version 1 trace to version 2, and keeps everything else", () => {
  const events = readTrace(versionOne);
  expect(events[0]).toEqual({
    seq: 1,
    us: 184.9,
    iteration: 0,
    type: "begin",
    version: TRACE_VERSION,
    pid: 18816,
    date: "2026-11-27T22:59:30.449Z",
  });
  expect(events.find((event) => event.type === "iteration" && event.iteration === 2)).toEqual({
    seq: 17,
    us: 704719.3,
    iteration: 2,
    type: "iteration",
    workedUs: 83847,
    dispatches: [
      [6, 447.1],
      [12, 82904.9],
      [6, 54.5],
    ],
  });
  const records = readFileSync(versionOne, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events).toHaveLength(records.length);
  for (const [i, { lap, type, turns: _turns, version: _version, ...others }] of records.entries()) {
    expect(events[i]).toMatchObject({ ...others, iteration: lap, type: type === "lap" ? "iteration" : type });
    expect(Object.keys(events[i] as object)).not.toContain("lap");
  }
  expect(formatEvent(events[7] as TraceEvent)).toContain("#2 epoll_wait(7, 0) = [(6, EPOLLIN)]");
});

test("writes a converted version 1 trace as a valid version 2 trace", () => {
  const events = readTrace(versionOne);
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  expect(parseTrace(text, "converted")).toEqual(events);
});

test("rejects a character device without reading it, because /dev/zero has no end", () => {
  expect(() => readTrace("/dev/zero")).toThrow("/dev/zero is a device, not a trace file");
});
