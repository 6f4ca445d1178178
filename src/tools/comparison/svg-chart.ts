// The measured times as an SVG chart: self-contained, with a text description, for light and dark pages.

import { type Call, calls, FD_SETSIZE } from "./fd-pool.ts";
import { formatDecade, formatInteger, formatTime } from "./format.ts";
import { LogScale } from "./log-scale.ts";
import type { Step } from "./measure.ts";
import { pointsOf, SERIES } from "./series.ts";
import { summarize } from "./summary.ts";

const WIDTH = 900;
const HEIGHT = 560;
const LEFT = 84;
const RIGHT = 740;
const TOP = 118;
const BOTTOM = 446;
const LABEL_HEIGHT = 20;
const NUMBER_WIDTH = 56;

/** The Okabe-Ito palette, which is safe for most forms of color blindness, darkened on white. Each series also has a shape. */
const style = `
    svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --grid: #eaedf0; --line: #c9d1d9;
          --select: #b45309; --poll: #a6327b; --epoll: #00795a;
          font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #0d1117; --ink: #f0f6fc; --soft: #9da7b3; --grid: #1b222b; --line: #3d444d;
            --select: #f0a63a; --poll: #e58cc4; --epoll: #2fc99a; }
    }
    .paper { fill: var(--paper); }
    text { fill: var(--soft); font-size: 13px; }
    .title { fill: var(--ink); font-size: 21px; font-weight: 650; }
    .subtitle { font-size: 14px; }
    .label { font-size: 15px; font-weight: 650; }
    .time { font-size: 13px; font-weight: 400; }
    .middle { text-anchor: middle; }
    .end { text-anchor: end; }
    .grid { stroke: var(--grid); }
    .axis { stroke: var(--line); }
    .limit { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
    .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
    .select .curve, .poll .curve, .epoll .curve { stroke: var(--own); }
    .select text, .poll text, .epoll text { fill: var(--own); }
    .point { fill: var(--paper); stroke: var(--own); stroke-width: 2; }
    .select .curve { stroke-dasharray: 6 7; } /* it overlaps poll */
    .select .point { fill: var(--own); stroke: none; }
    .select { --own: var(--select); }
    .poll { --own: var(--poll); }
    .epoll { --own: var(--epoll); }
  `;

/** @param caption lines below the chart, such as the machine and the command */
export function svgChart(steps: readonly Step[], caption: readonly string[]): string {
  const sizes = steps.map(({ fds }) => fds);
  const x = new LogScale(Math.min(...sizes), Math.max(...sizes), LEFT + 14, RIGHT - 14);
  const y = LogScale.decades(
    calls.flatMap((call) => pointsOf(steps, call).map(({ ns }) => ns)),
    BOTTOM,
    TOP,
  );
  const title = "Why epoll: the time of one call";
  const summary = summarize(steps).join(" ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title desc">
  <title id="title">${escape(title)}</title>
  <desc id="desc">${escape(`select, poll and epoll_wait with one active file descriptor among many idle ones. ${summary}`)}</desc>
  <style>${style}</style>
  <rect class="paper" width="${WIDTH}" height="${HEIGHT}" rx="8"/>
  <text class="title" x="32" y="44">${escape(title)}</text>
  <text class="subtitle" x="32" y="70">One active file descriptor among many idle ones. Lower is better; both scales are logarithmic.</text>
${[...axes(x, y), ...selectLimit(x), ...curves(steps, x, y), ...captionLines(caption)].map((line) => `  ${line}`).join("\n")}
</svg>
`;
}

function axes(x: LogScale, y: LogScale): string[] {
  const parts: string[] = [];
  for (const { value, isDecade } of y.ticks) {
    const at = fixed(y.position(value));
    if (!isDecade) continue;
    parts.push(`<path class="grid" d="M${LEFT} ${at}H${RIGHT}"/>`);
    parts.push(
      `<text class="end" x="${LEFT - 10}" y="${fixed(y.position(value) + 4.5)}">${formatDecade(value)}</text>`,
    );
  }
  for (const { value, isDecade } of x.ticks) {
    const at = fixed(x.position(value));
    parts.push(`<path class="axis" d="M${at} ${BOTTOM}v${isDecade ? 7 : 4}"/>`);
    if (!isDecade) continue;
    parts.push(`<path class="grid" d="M${at} ${TOP}V${BOTTOM}"/>`);
    parts.push(`<text class="middle" x="${at}" y="${BOTTOM + 24}">${formatInteger(value)}</text>`);
  }
  const [nearest = x.min] = x.ticks
    .filter(({ isDecade }) => isDecade)
    .map(({ value }) => value)
    .slice(-1);
  if (x.position(x.max) - x.position(nearest) > NUMBER_WIDTH) {
    parts.push(
      `<text class="middle" x="${fixed(x.position(x.max))}" y="${BOTTOM + 24}">${formatInteger(x.max)}</text>`,
    );
  }
  parts.push(`<path class="axis" d="M${LEFT} ${BOTTOM}H${RIGHT}"/>`);
  parts.push(`<text class="middle" x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 48}">file descriptors</text>`);
  return parts;
}

/** Draws the limit of fds above which select cannot be used. */
function selectLimit(x: LogScale): string[] {
  if (!x.contains(FD_SETSIZE)) return [];
  const at = x.position(FD_SETSIZE);
  return [
    `<path class="limit" id="limit" d="M${fixed(at)} ${TOP - 24}V${BOTTOM}"/>`,
    `<text class="end" x="${fixed(at - 9)}" y="${TOP - 12}">FD_SETSIZE (${FD_SETSIZE}): the limit of select</text>`,
  ];
}

interface Curve {
  call: Call;
  points: { x: number; y: number }[];
  label: string;
}

/** Draws a line for each call with its points, labeled with its name and last time. */
function curves(steps: readonly Step[], x: LogScale, y: LogScale): string[] {
  const all = (["epoll", "poll", "select"] as const).flatMap((call) => {
    const points = pointsOf(steps, call).map(({ fds, ns }) => ({
      ns,
      x: x.position(fds),
      y: y.position(ns),
    }));
    const last = points.at(-1);
    const label = `${SERIES[call].name}<tspan class="time" dx="7">${formatTime(last?.ns ?? 0)}</tspan>`;
    return last === undefined ? [] : [{ call, points, label }];
  });
  const labels = new Map(labelsAtRight(all.filter(({ points }) => points.length === steps.length)));
  return all.flatMap(({ call, points, label }) => [
    `<g class="${call}" id="${call}">`,
    `  <path class="curve" d="${points.map((point, i) => `${i === 0 ? "M" : "L"}${fixed(point.x)} ${fixed(point.y)}`).join("")}"/>`,
    ...points.map((point) => `  ${shapes[call](point.x, point.y)}`),
    `  ${labels.get(call) ?? labelAbove(points.at(-1), label)}`,
    "</g>",
  ]);
}

/** Draws the labels at the right end of their lines, in the same order, moved apart where they would overlap. */
function labelsAtRight(all: readonly Curve[]): [Call, string][] {
  const ends = all.map((curve) => ({ ...curve, end: curve.points.at(-1) ?? { x: 0, y: 0 } }));
  let minY = -Infinity;
  return ends
    .sort((a, b) => a.end.y - b.end.y)
    .map(({ call, label, end }) => {
      const y = Math.max(end.y + 5, minY);
      minY = y + LABEL_HEIGHT;
      return [call, `<text class="label" x="${fixed(end.x + 18)}" y="${fixed(y)}">${label}</text>`];
    });
}

/** Draws a label above the end of a line that stops within the chart, as that of select does, because poll's line continues to its right. */
function labelAbove(last: { x: number; y: number } | undefined, label: string): string {
  if (last === undefined) return "";
  return `<text class="label end" x="${fixed(last.x - 12)}" y="${fixed(last.y - 14)}">${label}</text>`;
}

const shapes: Record<Call, (x: number, y: number) => string> = {
  select: (x, y) => `<rect class="point" x="${fixed(x - 2.5)}" y="${fixed(y - 2.5)}" width="5" height="5"/>`,
  poll: (x, y) => `<path class="point" d="M${fixed(x)} ${fixed(y - 5)}l5 5l-5 5l-5 -5z"/>`,
  epoll: (x, y) => `<circle class="point" cx="${fixed(x)}" cy="${fixed(y)}" r="4"/>`,
};

function captionLines(caption: readonly string[]): string[] {
  return caption.map((line, i) => `<text x="32" y="${BOTTOM + 80 + 20 * i}">${escape(line)}</text>`);
}

function fixed(position: number): string {
  return position.toFixed(1);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
