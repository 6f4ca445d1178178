// replay --chrome: a trace in Chrome's Trace Event Format, checked against the rules of that format.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TraceEvent } from "../../src/index.ts";
import { toChromeTrace } from "../../src/tools/chrome-trace.ts";
import { cli, endPrograms, run, start } from "../support/programs.ts";
import { folder, newFolder, removeFolder } from "../support/temporary-folder.ts";

setDefaultTimeout(60_000);

afterEach(async () => {
  await endPrograms();
  removeFolder();
});

interface ChromeEvent {
  ph: string;
  name: string;
  cat?: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  s?: string;
  args?: Record<string, unknown>;
}

/** The fields that the format has for these types of events. */
const FIELDS: ReadonlySet<string> = new Set(["ph", "name", "cat", "pid", "tid", "ts", "dur", "s", "args"]);

/** Checks a document against the format, and returns its events. */
function check(text: string): ChromeEvent[] {
  const document = JSON.parse(text) as { traceEvents: ChromeEvent[]; displayTimeUnit: string };
  expect(["ms", "ns"]).toContain(document.displayTimeUnit);
  const { traceEvents } = document;
  const named = new Set<number>();
  for (const event of traceEvents) {
    expect("XiCM").toContain(event.ph);
    expect(typeof event.name).toBe("string");
    expect(typeof event.cat).toBe(event.ph === "M" ? "undefined" : "string"); // Chrome's importer names a counter by category and name
    expect(Object.keys(event).filter((key) => !FIELDS.has(key))).toEqual([]);
    for (const field of [event.pid, event.tid]) expect(Number.isSafeInteger(field) && field >= 0).toBe(true);
    expect(Number.isFinite(event.ts) && event.ts >= 0).toBe(true);
    expect(event.dur !== undefined && Number.isFinite(event.dur) && event.dur >= 0).toBe(event.ph === "X");
    expect(event.s !== undefined && "gpt".includes(event.s)).toBe(event.ph === "i");
    if (event.ph === "C") {
      const values = Object.values(event.args ?? {});
      expect(values.length).toBeGreaterThan(0);
      for (const value of values) expect(Number.isFinite(value)).toBe(true);
    }
    if (event.ph === "M") {
      expect(["process_name", "thread_name", "thread_sort_index"]).toContain(event.name);
      expect(typeof event.args?.[event.name === "thread_sort_index" ? "sort_index" : "name"]).toBe(
        event.name === "thread_sort_index" ? "number" : "string",
      );
      if (event.name === "thread_name") named.add(event.tid);
    }
  }
  const lanes = new Set(traceEvents.flatMap(({ ph, tid }) => (ph === "X" ? [tid] : [])));
  for (const lane of lanes) expect(named).toContain(lane);
  // Periods of one lane are nested or apart, as those of a thread must be.
  for (const lane of lanes) {
    const open: number[] = [];
    const periods = traceEvents.filter(({ ph, tid }) => ph === "X" && tid === lane);
    for (const { ts, dur = 0 } of periods.toSorted((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0))) {
      while (open.length > 0 && (open.at(-1) as number) <= ts + 0.2) open.pop(); // times are rounded
      const end = open.at(-1);
      if (end !== undefined) expect(ts + dur).toBeLessThanOrEqual(end + 0.2);
      open.push(ts + dur);
    }
  }
  return traceEvents;
}

test("a server's trace: a lane for each fd, with waits, dispatches, calls and counters", async () => {
  newFolder();
  const [file, out] = [join(folder, "t.jsonl"), join(folder, "t.json")];
  const program = start(["bun", cli, "--host", "127.0.0.1", "--port", "0", "--trace-file", file]);
  const [, port] = await program.output(/listening on http:\/\/\S+:(\d+) /m);
  for (let i = 0; i < 3; i++) await (await fetch(`http://127.0.0.1:${port}/a?token=x`)).text();
  program.kill("SIGTERM");
  await program.exited;
  const converted = await run(["bun", cli, "replay", file, "--chrome", out]);
  const lines = readFileSync(file, "utf8").trim().split("\n");
  expect(converted).toEqual({
    code: 0,
    stdout: `wrote ${lines.length} events to ${out}; open it at https://ui.perfetto.dev or chrome://tracing\n`,
    stderr: "",
  });
  const events = check(readFileSync(out, "utf8"));
  const trace = lines.map((line) => JSON.parse(line) as TraceEvent);
  const count = (type: TraceEvent["type"]): number => trace.filter((event) => event.type === type).length;
  const chrome = (ph: string, pattern: RegExp): ChromeEvent[] =>
    events.filter((event) => event.ph === ph && pattern.test(event.name));
  expect(chrome("X", /^epoll_wait$/)).toHaveLength(count("wait"));
  expect(chrome("X", /^iteration \d+$|^setup$/)).toHaveLength(count("iteration"));
  expect(chrome("i", /^recv/)).toHaveLength(count("recv"));
  expect(chrome("i", /^epoll_ctl/)).toHaveLength(count("ctl"));
  expect(chrome("C", /^ready$/)).toHaveLength(count("wait"));
  expect(chrome("C", /^open fds$/).at(-1)?.args).toEqual({ "open fds": 0 });
  const names = events.flatMap(({ name, args }) => (name === "thread_name" ? [String(args?.["name"])] : []));
  expect(names).toContainEqual(expect.stringMatching(new RegExp(`^fd \\d+: listener 127\\.0\\.0\\.1:${port}$`)));
  expect(names).toContainEqual(expect.stringMatching(/^fd \d+: epoll$/));
  expect(names).toContainEqual(expect.stringMatching(/^fd \d+: connections$/));
  expect(chrome("i", /^recv$/)[0]?.args).toMatchObject({ line: expect.stringMatching(/^GET \/a\?token=</) });
});

test("every type of event, errors and odd traces included", () => {
  const moment = { us: 5, iteration: 1 };
  const address = { path: "/\u001b[31m\u202e" };
  const details = [
    { type: "begin", version: 2, pid: 7, date: "" },
    { type: "listen", fd: 0, address },
    { type: "create", result: -24 },
    { type: "dropped", events: 9 },
    { type: "iteration", workedUs: 5, dispatches: [] },
    { type: "wait", epfd: 3, timeoutMs: -1, maxEvents: 1, result: -4, events: [], blockedUs: 9, awayUs: 3 },
    { type: "ctl", epfd: 3, op: "DEL", fd: 5, oldMask: null, mask: null, result: -2 },
    { type: "accept", fd: 0, result: -24, peer: null },
    { type: "accept", fd: 0, result: 5, peer: address },
    { type: "connect", fd: 6, address, result: -115 },
    { type: "recv", fd: 5, wanted: 9, result: -11, call: "read", at: "a.ts:1" },
    { type: "send", fd: 5, wanted: 9, result: 9, line: "GET / HTTP/1.1", bytes: "x" },
    { type: "shutdown", fd: 5, how: "WR", result: 0 },
    { type: "reset", fd: 5, result: 0 },
    { type: "close", fd: 5, result: -9 },
    { type: "close", fd: 5, result: 0 },
    { type: "state", fd: 6, from: null, to: "new" },
    { type: "warning", code: "fd-leak", fd: null, message: "m" },
    { type: "iteration", workedUs: 5, dispatches: [[6, 5]] },
    { type: "splice", fd: 1 },
  ];
  const events = details.map((detail, i) => ({ seq: i + 1, ...moment, ...detail }) as unknown as TraceEvent);
  const text = [...toChromeTrace(events)].join("\n");
  expect(check(text).length).toBeGreaterThan(events.length);
  expect(text).not.toContain("\u202e");
  expect(check([...toChromeTrace([])].join("\n"))).toEqual([]);
});

test("converts 600,000 events without holding them", async () => {
  newFolder();
  const [file, out] = [join(folder, "t.jsonl"), join(folder, "t.json")];
  const pieces = ['{"seq":1,"us":1,"iteration":0,"type":"begin","version":2,"pid":1,"date":""}\n'];
  for (let seq = 2; seq <= 600_000; seq += 3) {
    const us = seq * 2;
    pieces.push(
      `{"seq":${seq},"us":${us},"iteration":${seq},"type":"wait","epfd":6,"timeoutMs":-1,"maxEvents":1,"result":1,"events":[[5,1]],"blockedUs":1}\n` +
        `{"seq":${seq + 1},"us":${us + 1},"iteration":${seq},"type":"recv","fd":5,"wanted":65536,"result":100}\n` +
        `{"seq":${seq + 2},"us":${us + 2},"iteration":${seq},"type":"iteration","workedUs":2,"dispatches":[[5,1]]}\n`,
    );
  }
  writeFileSync(file, pieces.join(""));
  const script = '"$0" "$1" replay "$2" --chrome "$3" && grep -c "" "$3" && tail -n 1 "$3"';
  const limited = await run(["sh", "-c", `ulimit -v unlimited; ${script}`, process.execPath, cli, file, out]);
  expect(limited).toMatchObject({ code: 0, stderr: "" });
  expect(limited.stdout).toStartWith("wrote 600,001 events to ".replace(",", ""));
  expect(limited.stdout).toEndWith("\n]}\n");
});

test("says what it cannot do", async () => {
  newFolder();
  const file = join(folder, "t.jsonl");
  const begin = '{"seq":1,"us":1,"iteration":0,"type":"begin","version":2,"pid":1,"date":""}\n';
  writeFileSync(file, begin);
  const cases: [string[], RegExp, number][] = [
    [[file, "--chrome", join(folder, "none", "t.json")], /cannot write the Chrome trace: ENOENT/, 1],
    [[file, "--chrome", "/dev/full"], /cannot write to \/dev\/full: ENOSPC/, 1],
    [
      [file, "--chrome", "x", "--json"],
      /--chrome cannot be used with --json: it converts the trace and prints nothing/,
      2,
    ],
    [[file, "--chrome"], /--chrome requires a value \(a file to write to\)/, 2],
    [[join(folder, "none"), "--chrome", join(folder, "o")], /cannot read the trace: ENOENT/, 1],
  ];
  for (const [flags, message, code] of cases) {
    const result = await run(["bun", cli, "replay", ...flags]);
    expect(result).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(message) });
  }
  writeFileSync(file, `${begin}{"seq":2,`);
  const truncated = await run(["bun", cli, "replay", file, "--chrome", join(folder, "o")]);
  expect(truncated.code).toBe(0);
  expect(truncated.stderr).toContain("is truncated: line 2 is incomplete");
  check(readFileSync(join(folder, "o"), "utf8"));
});
