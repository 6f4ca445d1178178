// The table and the chart for the terminal: positions, the width of 80 columns, and color.

import { stripVTControlCharacters } from "node:util";
import { expect, setDefaultTimeout, test } from "bun:test";
import { measurementTable, terminalChart } from "../../src/tools/comparison/terminal-chart.ts";
import type { Step } from "../../src/tools/comparison/measure.ts";

setDefaultTimeout(60_000);

const steps: Step[] = [
  { fds: 10, select: 2110, poll: 1770, epoll: 574 },
  { fds: 100, select: 14_500, poll: 14_400, epoll: 556 },
  { fds: 1000, select: 250_000, poll: 110_000, epoll: 576 },
  { fds: 10_000, select: null, poll: 5_150_000, epoll: 555 },
];

test("formats a table with a line for each step", () => {
  expect(measurementTable(steps, false)).toEqual([
    "         fds       select         poll   epoll_wait    poll ÷ epoll_wait",
    "          10      2.11 µs      1.77 µs       574 ns                  3.1",
    "         100      14.5 µs      14.4 µs       556 ns                 25.9",
    "       1,000       250 µs       110 µs       576 ns                  191",
    "      10,000            -      5.15 ms       555 ns                9,280",
    "                        -  above FD_SETSIZE (1024)",
  ]);
  expect(measurementTable(steps.slice(0, 3), false).join("\n")).not.toContain("FD_SETSIZE");
});

test("draws the chart", () => {
  expect(terminalChart(steps, false)).toMatchInlineSnapshot(`
    [
      "          s select   p poll   e epoll_wait   * overlap   : FD_SETSIZE (1024)",
      "   10 ms +                                             :",
      "         |                                             :                  ..p",
      "         |                                             :             .....",
      "    1 ms +                                             :         ....",
      "         |                                             :     ....",
      "         |                                         ...s:.....",
      "  100 µs +                                   .........p.",
      "         |                             ...........     :",
      "         |                       .........             :",
      "   10 µs +               ........*                     :",
      "         |      .........                              :",
      "         | *.....                                      :",
      "    1 µs +                                             :",
      "         | e.....................e....................e.....................e",
      "         |                                             :",
      "  100 ns +                                             :",
      "         +-+---------------------+--------------------+---------------------+-",
      "          10                    100                 1,000                10,000",
      "          file descriptors, one of them active; both scales are logarithmic",
    ]
  `);
});

test("omits the limit of select if it is beyond the chart", () => {
  const text = terminalChart(steps.slice(0, 2), false).join("\n");
  expect(text).not.toContain("FD_SETSIZE");
  expect(text).not.toContain(":");
});

test("color changes nothing but the color, and lines fit into 80 columns", () => {
  for (const show of [measurementTable, terminalChart]) {
    const colored = show(steps, true);
    expect(colored.join("")).toContain("\x1b[36m");
    expect(colored.map(stripVTControlCharacters)).toEqual(show(steps, false));
    expect(show(steps, false).filter((line) => line.length > 80)).toEqual([]);
  }
});

test("draws a single step, equal times, and times from nanoseconds to seconds", () => {
  for (const some of [
    [{ fds: 10, select: 300, poll: 300, epoll: 300 }],
    [{ fds: 10, select: 100, poll: 100, epoll: 100 }],
    [
      { fds: 10, select: 20, poll: 20, epoll: 20 },
      { fds: 100_000, select: null, poll: 2e9, epoll: 20 },
    ],
  ]) {
    const lines = terminalChart(some, false);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.join("\n")).not.toMatch(/NaN|undefined|Infinity/);
    expect(lines.join("\n")).toContain("*");
  }
});
