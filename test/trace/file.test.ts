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
    [
      [first, second.replace('"fd":', '"ufd":')],
      'f, line 2: not a trace event: "fd" must be an integer; received nothing',
    ],
    [[first, "", second], "f, line 2: not valid JSON"],
  ];
  for (const [text, message] of cases) {
    expect(() => parseTrace(text.map((line) => `${line}\n`).join(""), "f")).toThrow(message);
  }
});

/** An event of each type, with an example of each field that is checked. */
const EXAMPLES: TraceEvent[] = [
  { seq: 1, us: 0, iteration: 0, type: "begin", version: TRACE_VERSION, pid: 1, date: "2026-11-28", program: "/a.ts" },
  { seq: 2, us: 0, iteration: 0, type: "listen", fd: 5, address: { family: "IPv4", address: "127.0.0.1", port: 1 } },
  { seq: 2, us: 0, iteration: 0, type: "create", result: 6 },
  {
    seq: 2,
    us: 1.5,
    iteration: 1,
    type: "wait",
    epfd: 6,
    timeoutMs: -1,
    maxEvents: 9,
    result: 1,
    events: [[5, 1]],
    blockedUs: 1,
    awayUs: 2,
  },
  { seq: 2, us: 0, iteration: 1, type: "ctl", epfd: 6, op: "ADD", fd: 5, oldMask: null, mask: 1, result: 0 },
  { seq: 2, us: 0, iteration: 1, type: "accept", fd: 5, result: 7, peer: { path: "" } },
  { seq: 2, us: 0, iteration: 1, type: "connect", fd: 5, address: { path: "/a" }, result: -115 },
  {
    seq: 2,
    us: 0,
    iteration: 1,
    type: "recv",
    fd: 5,
    wanted: 9,
    result: 3,
    call: "read",
    line: "a",
    bytes: "abc",
    at: "a.ts:1",
  },
  {
    seq: 2,
    us: 0,
    iteration: 1,
    type: "send",
    fd: 5,
    wanted: 9,
    result: 3,
    call: "write",
    line: "a",
    bytes: "abc",
    at: "a.ts:1",
  },
  { seq: 2, us: 0, iteration: 1, type: "shutdown", fd: 5, how: "WR", result: 0 },
  { seq: 2, us: 0, iteration: 1, type: "reset", fd: 5, result: 0 },
  { seq: 2, us: 0, iteration: 1, type: "close", fd: 5, result: 0 },
  { seq: 2, us: 0, iteration: 1, type: "state", fd: 5, from: null, to: "new" },
  { seq: 2, us: 0, iteration: 1, type: "warning", code: "fd-leak", fd: null, message: "m" },
  { seq: 2, us: 0, iteration: 1, type: "iteration", workedUs: 1, dispatches: [[5, 1]] },
  { seq: 4, us: 0, iteration: 1, type: "dropped", events: 3 },
];
const BAD_VALUES: unknown[] = [{ a: 1 }, [["a", 1]], [5], true];
/** Fields that may also be missing. */
const OPTIONAL = new Set(["program", "awayUs", "call", "line", "bytes", "at"]);

test("checks every field of every event, and says which one is wrong", () => {
  const begin = JSON.stringify(EXAMPLES[0]);
  for (const event of EXAMPLES) {
    const parse = (value: unknown): TraceEvent[] =>
      event.type === "begin"
        ? parseTrace(`${JSON.stringify(value)}\n`, "f")
        : parseTrace(`${begin}\n${JSON.stringify(value)}\n`, "f");
    expect(parse(event).at(-1)).toEqual(event);
    for (const field of Object.keys(event).filter((name) => name !== "type" && name !== "version")) {
      const line = event.type === "begin" ? 1 : 2;
      const message = `f, line ${line}: not a trace event: "${field}" must be `;
      for (const bad of BAD_VALUES) expect(() => parse({ ...event, [field]: bad })).toThrow(message);
      const without: Record<string, unknown> = { ...event };
      delete without[field];
      if (OPTIONAL.has(field)) expect(parse(without)).toBeArray();
      else expect(() => parse(without)).toThrow(message);
      expect(() => formatEvent({ ...event, [field]: { a: 1 } } as unknown as TraceEvent)).toThrow("a trace event");
    }
  }
});

test("keeps events and fields that it does not know", () => {
  const unknown = { seq: 2, us: 0, iteration: 0, type: "splice", fd: "any" };
  const parsed = parseTrace(`${JSON.stringify(EXAMPLES[0])}\n${JSON.stringify(unknown)}\n`);
  expect(parsed[1]).toEqual(unknown as unknown as TraceEvent);
  expect(formatEvent(parsed[1] as TraceEvent)).toBeUndefined();
});

test("shows a truncated trace up to the cut, with a note", () => {
  const events = trace();
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  const notes: string[] = [];
  const note = `f is truncated: line ${events.length} is incomplete, and the ${events.length - 1} before it are shown`;
  expect(parseTrace(text.slice(0, -1), "f", (text) => notes.push(text))).toEqual(events); // only the line feed is missing
  expect(notes).toEqual([]);
  for (let cut = 2; cut < 40; cut++) {
    expect(parseTrace(text.slice(0, -cut), "f", (text) => notes.push(text))).toEqual(events.slice(0, -1));
    expect(notes.splice(0)).toEqual([note]);
  }
  expect(() => parseTrace(text.slice(0, -9), "f")).toThrow(`f, line ${events.length}: not valid JSON`);
  // A line in the middle is not a cut.
  const lines = text.split("\n");
  lines[3] = lines[3]?.slice(0, -5) ?? "";
  expect(() => parseTrace(lines.join("\n"), "f", () => {})).toThrow("f, line 4: not valid JSON");
});

test("accepts dropped events only where they are counted", () => {
  const begin = JSON.stringify(EXAMPLES[0]);
  const dropped = (seq: number, events: number): string =>
    JSON.stringify({ seq, us: 0, iteration: 0, type: "dropped", events });
  const next = JSON.stringify({ seq: 11, us: 0, iteration: 0, type: "create", result: 6 });
  const parsed = parseTrace([begin, dropped(10, 9), next, ""].join("\n"), "f");
  expect(parsed.map((event) => formatEvent(event))).toEqual([
    undefined,
    "      ... 9 events dropped, to limit the size of the trace",
    "      epoll_create1(EPOLL_CLOEXEC) = 6",
  ]);
  expect(() => parseTrace([begin, dropped(10, 8), next, ""].join("\n"), "f")).toThrow(
    "expected event 9, found event 10",
  );
  expect(() => parseTrace([begin, next, ""].join("\n"), "f")).toThrow("expected event 2, found event 11");
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
