// The figures for a terminal: a table, and a chart with both axes logarithmic; 80 columns wide.

import { type Call, calls, FD_SETSIZE } from "./fd-set.ts";
import { formatCount, formatRatio, formatTime } from "./summary.ts";
import type { Step } from "./measure.ts";
import { Scale } from "./log-scale.ts";

const ROWS_PER_DECADE = 3;
const GUTTER = 9; // the times, at the left
const COLUMNS = 68;
const WALL_COLOUR = 90;
const STAR_COLOUR = 39; // the terminal's own

/** What a call is called, what stands for it, and its ANSI colour. */
export const SERIES: Record<Call, { name: string; sign: string; colour: number }> = {
  select: { name: "select", sign: "s", colour: 33 },
  poll: { name: "poll", sign: "p", colour: 35 },
  epoll: { name: "epoll_wait", sign: "e", colour: 36 },
};

/** A line for each step. */
export function table(steps: readonly Step[], hasColour: boolean): string[] {
  const paint = painter(hasColour);
  const widths = [12, 13, 13, 13, 21];
  const line = (cells: string[]): string => cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("");
  const head = line(["descriptors", ...calls.map((call) => SERIES[call].name), "poll ÷ epoll_wait"]);
  const body = steps.map((step) => {
    const cells = calls.map((call, i) => {
      const ns = step[call];
      return paint((ns === null ? "-" : formatTime(ns)).padStart(widths[i + 1] ?? 0), SERIES[call].colour);
    });
    const count = formatCount(step.descriptors).padStart(widths[0] ?? 0);
    return `${count}${cells.join("")}${formatRatio(step.poll / step.epoll).padStart(widths[4] ?? 0)}`;
  });
  const hasEnd = steps.some(({ select }) => select === null);
  return [head, ...body, ...(hasEnd ? [`${"-".padStart(25)}  beyond FD_SETSIZE, ${FD_SETSIZE}`] : [])];
}

/** The letters are measured, dots lie between them. */
export function terminalChart(steps: readonly Step[], hasColour: boolean): string[] {
  const lines = calls.map((call) => ({ ...SERIES[call], points: pointsOf(steps, call) }));
  const times = lines.flatMap(({ points }) => points.map(({ ns }) => ns));
  const sizes = steps.map(({ descriptors }) => descriptors);
  const x = new Scale(Math.min(...sizes), Math.max(...sizes), 1, COLUMNS - 2);
  const { least, most } = Scale.decades(times, 0, 1);
  const bottom = ROWS_PER_DECADE * Math.round(Math.log10(most / least));
  const y = new Scale(least, most, bottom, 0);
  const canvas = new Canvas(bottom + 1, painter(hasColour));

  const hasWall = x.has(FD_SETSIZE);
  for (let row = 0; hasWall && row <= bottom; row++) canvas.put(x.place(FD_SETSIZE), row, ":", WALL_COLOUR);
  for (const { points, colour } of lines) {
    for (const [i, to] of points.entries()) {
      const from = points[i - 1];
      if (from === undefined) continue;
      const [start, end] = [x.place(from.descriptors), x.place(to.descriptors)];
      const slope = (y.place(to.ns) - y.place(from.ns)) / (end - start);
      for (let column = Math.ceil(start); column < end; column++) {
        canvas.put(column, y.place(from.ns) + slope * (column - start), ".", colour);
      }
    }
  }
  // After all the lines, so that no dot hides a letter.
  for (const { points, sign, colour } of lines) {
    for (const { descriptors, ns } of points) canvas.mark(x.place(descriptors), y.place(ns), sign, colour);
  }

  const legend = [...lines.map(({ sign, name, colour }) => painter(hasColour)(`${sign} ${name}`, colour)), "* several"];
  if (hasWall) legend.push(`: ${FD_SETSIZE}, FD_SETSIZE`);
  const indent = " ".repeat(GUTTER + 1);
  return [indent + legend.join("   "), ...withTimes(canvas.rows, y), ...axis(x)].concat(
    `${indent}descriptors, one of them active; both scales are logarithmic`,
  );
}

interface Point {
  descriptors: number;
  ns: number;
}

/** Where a call has been measured. */
export function pointsOf(steps: readonly Step[], call: Call): Point[] {
  return steps.flatMap(({ descriptors, [call]: ns }) => (ns === null ? [] : [{ descriptors, ns }]));
}

type Painter = (text: string, colour: number) => string;

/** Rows of characters, each in its colour. */
class Canvas {
  readonly #cells: string[][];
  readonly #marked = new Set<string>();
  readonly #paint: Painter;

  constructor(rows: number, paint: Painter) {
    this.#cells = Array.from({ length: rows }, () => Array.from({ length: COLUMNS }, () => " "));
    this.#paint = paint;
  }

  put(column: number, row: number, text: string, colour: number): void {
    const line = this.#cells[Math.round(row)];
    if (line !== undefined) line[Math.round(column)] = this.#paint(text, colour);
  }

  /** Put a letter, or a star where there is one already. */
  mark(column: number, row: number, sign: string, colour: number): void {
    const place = `${Math.round(column)},${Math.round(row)}`;
    if (this.#marked.has(place)) this.put(column, row, "*", STAR_COLOUR);
    else this.put(column, row, sign, colour);
    this.#marked.add(place);
  }

  get rows(): string[] {
    return this.#cells.map((line) => line.join("").trimEnd());
  }
}

function withTimes(rows: readonly string[], y: Scale): string[] {
  const decades = y.ticks.filter(({ isDecade }) => isDecade);
  const labels = new Map(decades.map(({ value }) => [Math.round(y.place(value)), formatDecade(value)]));
  return rows.map((line, row) => {
    const label = labels.get(row);
    return `${(label ?? "").padStart(GUTTER - 1)} ${label === undefined ? "|" : "+"}${line}`;
  });
}

function axis(x: Scale): string[] {
  const ruler = Array.from({ length: COLUMNS }, () => "-");
  let numbers = "";
  for (const { value, isDecade } of x.ticks) {
    if (!isDecade) continue;
    const column = Math.round(x.place(value));
    ruler[column] = "+";
    const text = formatCount(value);
    numbers = numbers.padEnd(Math.max(0, column - (text.length >> 1))) + text;
  }
  const last = formatCount(x.most);
  const start = Math.round(x.place(x.most)) - (last.length >> 1);
  if (start > numbers.length) numbers = numbers.padEnd(start) + last;
  return [`${" ".repeat(GUTTER)}+${ruler.join("")}`, `${" ".repeat(GUTTER + 1)}${numbers}`];
}

/** `100 ns`, `10 µs`: without the digits that only a measured time has. */
export function formatDecade(ns: number): string {
  return formatTime(ns).replace(/\.0+(?= )/, "");
}

function painter(hasColour: boolean): Painter {
  return (text, colour) => (hasColour ? `\x1b[${colour}m${text}\x1b[39m` : text);
}
