// The measured times for a terminal, at most 80 columns wide: a table, and a chart with logarithmic axes.

import { calls, FD_SETSIZE } from "./fd-pool.ts";
import { formatDecade, formatInteger, formatRatio, formatTime } from "./format.ts";
import { LogScale } from "./log-scale.ts";
import type { Step } from "./measure.ts";
import { pointsOf, SERIES } from "./series.ts";

const ROWS_PER_DECADE = 3;
const GUTTER = 9; // columns for the times on the left
const COLUMNS = 68;
const LIMIT_COLOR = 90;
const STAR_COLOR = 39; // the default foreground

/** Returns a line for each step. */
export function measurementTable(steps: readonly Step[], hasColor: boolean): string[] {
  const paint = painter(hasColor);
  const widths = [12, 13, 13, 13, 21];
  const line = (cells: string[]): string => cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("");
  const head = line(["fds", ...calls.map((call) => SERIES[call].name), "poll ÷ epoll_wait"]);
  const body = steps.map((step) => {
    const cells = calls.map((call, i) => {
      const ns = step[call];
      return paint((ns === null ? "-" : formatTime(ns)).padStart(widths[i + 1] ?? 0), SERIES[call].color);
    });
    const count = formatInteger(step.fds).padStart(widths[0] ?? 0);
    return `${count}${cells.join("")}${formatRatio(step.poll / step.epoll).padStart(widths[4] ?? 0)}`;
  });
  const hasEnd = steps.some(({ select }) => select === null);
  return [head, ...body, ...(hasEnd ? [`${"-".padStart(25)}  above FD_SETSIZE (${FD_SETSIZE})`] : [])];
}

/** Returns the lines of the chart. Letters mark measured times, and dots connect them. */
export function terminalChart(steps: readonly Step[], hasColor: boolean): string[] {
  const lines = calls.map((call) => ({ ...SERIES[call], points: pointsOf(steps, call) }));
  const times = lines.flatMap(({ points }) => points.map(({ ns }) => ns));
  const sizes = steps.map(({ fds }) => fds);
  const x = new LogScale(Math.min(...sizes), Math.max(...sizes), 1, COLUMNS - 2);
  const { min, max } = LogScale.decades(times, 0, 1);
  const bottom = ROWS_PER_DECADE * Math.round(Math.log10(max / min));
  const y = new LogScale(min, max, bottom, 0);
  const canvas = new Canvas(bottom + 1, painter(hasColor));

  const hasLimit = x.contains(FD_SETSIZE);
  for (let row = 0; hasLimit && row <= bottom; row++) canvas.draw(x.position(FD_SETSIZE), row, ":", LIMIT_COLOR);
  for (const { points, color } of lines) {
    for (const [i, to] of points.entries()) {
      const from = points[i - 1];
      if (from === undefined) continue;
      const [start, end] = [x.position(from.fds), x.position(to.fds)];
      const slope = (y.position(to.ns) - y.position(from.ns)) / (end - start);
      for (let column = Math.ceil(start); column < end; column++) {
        canvas.draw(column, y.position(from.ns) + slope * (column - start), ".", color);
      }
    }
  }
  // Drawn last, so that no dot hides a letter.
  for (const { points, letter, color } of lines) {
    for (const { fds, ns } of points) canvas.mark(x.position(fds), y.position(ns), letter, color);
  }

  const legend = [
    ...lines.map(({ letter, name, color }) => painter(hasColor)(`${letter} ${name}`, color)),
    "* overlap",
  ];
  if (hasLimit) legend.push(`: FD_SETSIZE (${FD_SETSIZE})`);
  const indent = " ".repeat(GUTTER + 1);
  return [indent + legend.join("   "), ...withTimeAxis(canvas.rows, y), ...fdAxis(x)].concat(
    `${indent}file descriptors, one of them active; both scales are logarithmic`,
  );
}

type Painter = (text: string, color: number) => string;

/** A grid of colored characters. */
class Canvas {
  readonly #cells: string[][];
  readonly #marked = new Set<string>();
  readonly #paint: Painter;

  constructor(rows: number, paint: Painter) {
    this.#cells = Array.from({ length: rows }, () => Array.from({ length: COLUMNS }, () => " "));
    this.#paint = paint;
  }

  draw(column: number, row: number, text: string, color: number): void {
    const line = this.#cells[Math.round(row)];
    if (line !== undefined) line[Math.round(column)] = this.#paint(text, color);
  }

  /** Draws a letter, or a star if the cell already has one. */
  mark(column: number, row: number, letter: string, color: number): void {
    const key = `${Math.round(column)},${Math.round(row)}`;
    if (this.#marked.has(key)) this.draw(column, row, "*", STAR_COLOR);
    else this.draw(column, row, letter, color);
    this.#marked.add(key);
  }

  get rows(): string[] {
    return this.#cells.map((line) => line.join("").trimEnd());
  }
}

function withTimeAxis(rows: readonly string[], y: LogScale): string[] {
  const decades = y.ticks.filter(({ isDecade }) => isDecade);
  const labels = new Map(decades.map(({ value }) => [Math.round(y.position(value)), formatDecade(value)]));
  return rows.map((line, row) => {
    const label = labels.get(row);
    return `${(label ?? "").padStart(GUTTER - 1)} ${label === undefined ? "|" : "+"}${line}`;
  });
}

function fdAxis(x: LogScale): string[] {
  const ruler = Array.from({ length: COLUMNS }, () => "-");
  let numbers = "";
  for (const { value, isDecade } of x.ticks) {
    if (!isDecade) continue;
    const column = Math.round(x.position(value));
    ruler[column] = "+";
    const text = formatInteger(value);
    numbers = numbers.padEnd(Math.max(0, column - (text.length >> 1))) + text;
  }
  const last = formatInteger(x.max);
  const start = Math.round(x.position(x.max)) - (last.length >> 1);
  if (start > numbers.length) numbers = numbers.padEnd(start) + last;
  return [`${" ".repeat(GUTTER)}+${ruler.join("")}`, `${" ".repeat(GUTTER + 1)}${numbers}`];
}

function painter(hasColor: boolean): Painter {
  return (text, color) => (hasColor ? `\x1b[${color}m${text}\x1b[39m` : text);
}
