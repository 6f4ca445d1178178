// A trace as a file: what was written comes back, and what is no whole trace is refused with its line.

import { expect, setDefaultTimeout, test } from "bun:test";
import { formatEvent, parseTrace, readTrace, TRACE_VERSION, type TraceEvent } from "../../src/index.ts";
import { complete, GET, Stage } from "../support/server.ts";

setDefaultTimeout(60_000);

function trace(): TraceEvent[] {
  const events: TraceEvent[] = [];
  using stage = new Stage({ trace: { listener: (event) => events.push(event), bytes: true, lines: true } });
  stage.receive(stage.client(GET), complete);
  return events;
}

test("what was written comes back, event for event, and reads the same", () => {
  const events = trace();
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  const again = parseTrace(text, "a trace");
  expect(again).toEqual(events);
  expect(again.map((event) => formatEvent(event))).toEqual(events.map((event) => formatEvent(event)));
});

test("a file that is no trace, or not all of one, is refused: which line, and what to do", () => {
  const lines = trace().map((event) => JSON.stringify(event));
  const [first = "", second = "", ...rest] = lines;
  const cases: [string[], string][] = [
    [[], "f is empty"],
    [["hello"], "f, line 1: this is no JSON. A trace is what --trace-file or --trace=json writes"],
    [["3"], "f, line 1: this is no event of a trace"],
    [["null"], "f, line 1: this is no event of a trace"],
    [[second], "f is no whole trace: it does not begin with its version"],
    [[first.replace(`"version":${TRACE_VERSION}`, '"version":99')], "f is a trace of version 99; this program reads 1"],
    [[first, ...rest], "f, line 2: this is event 3: the trace has lost or doubled some"],
    [[first, second, second], "f, line 3: this is event 2: the trace has lost or doubled some"],
    [[first, second.slice(0, -5)], "f, line 2: this is no JSON"],
    [[first, "", second], "f, line 2: this is no JSON"],
  ];
  for (const [text, message] of cases) {
    expect(() => parseTrace(text.map((line) => `${line}\n`).join(""), "f")).toThrow(message);
  }
});

test("a device is no trace: /dev/zero is not read to its end", () => {
  expect(() => readTrace("/dev/zero")).toThrow("/dev/zero is a device, and no file of a trace");
});
