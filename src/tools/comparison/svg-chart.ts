// The figures as a picture: an SVG that stands alone, for light and dark pages, and says in words what it shows.

import { type Call, calls, FD_SETSIZE } from "./fd-set.ts";
import { formatDecade, SERIES, pointsOf } from "./terminal-chart.ts";
import { summarize, formatCount, formatTime } from "./summary.ts";
import type { Step } from "./measure.ts";
import { Scale } from "./log-scale.ts";

const WIDTH = 900;
const HEIGHT = 560;
const LEFT = 84;
const RIGHT = 740;
const TOP = 118;
const BOTTOM = 446;
const LABEL_HEIGHT = 20;
const NUMBER_WIDTH = 56;

/** Okabe and Ito's colours, which nearly everybody can tell apart, darker on white; and a shape for each, for the rest. */
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
    .wall { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
    .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
    .select .curve, .poll .curve, .epoll .curve { stroke: var(--own); }
    .select text, .poll text, .epoll text { fill: var(--own); }
    .point { fill: var(--paper); stroke: var(--own); stroke-width: 2; }
    .select .curve { stroke-dasharray: 6 7; } /* it lies on poll's */
    .select .point { fill: var(--own); stroke: none; }
    .select { --own: var(--select); }
    .poll { --own: var(--poll); }
    .epoll { --own: var(--epoll); }
  `;

/** @param caption lines below the chart: the machine and the command */
export function svgChart(steps: readonly Step[], caption: readonly string[]): string {
  const sizes = steps.map(({ descriptors }) => descriptors);
  const x = new Scale(Math.min(...sizes), Math.max(...sizes), LEFT + 14, RIGHT - 14);
  const y = Scale.decades(
    calls.flatMap((call) => pointsOf(steps, call).map(({ ns }) => ns)),
    BOTTOM,
    TOP,
  );
  const title = "Why epoll: the time of one call";
  const said = summarize(steps).join(" ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-labelledby="title desc">
  <title id="title">${escape(title)}</title>
  <desc id="desc">${escape(`select, poll and epoll_wait with one active descriptor among many idle ones. ${said}`)}</desc>
  <style>${style}</style>
  <rect class="paper" width="${WIDTH}" height="${HEIGHT}" rx="8"/>
  <text class="title" x="32" y="44">${escape(title)}</text>
  <text class="subtitle" x="32" y="70">One active descriptor among many idle ones. Lower is better; both scales are logarithmic.</text>
${[...frame(x, y), ...wall(x), ...curves(steps, x, y), ...below(caption)].map((line) => `  ${line}`).join("\n")}
</svg>
`;
}

function frame(x: Scale, y: Scale): string[] {
  const parts: string[] = [];
  for (const { value, isDecade } of y.ticks) {
    const at = fixed(y.place(value));
    if (!isDecade) continue;
    parts.push(`<path class="grid" d="M${LEFT} ${at}H${RIGHT}"/>`);
    parts.push(`<text class="end" x="${LEFT - 10}" y="${fixed(y.place(value) + 4.5)}">${formatDecade(value)}</text>`);
  }
  for (const { value, isDecade } of x.ticks) {
    const at = fixed(x.place(value));
    parts.push(`<path class="axis" d="M${at} ${BOTTOM}v${isDecade ? 7 : 4}"/>`);
    if (!isDecade) continue;
    parts.push(`<path class="grid" d="M${at} ${TOP}V${BOTTOM}"/>`);
    parts.push(`<text class="middle" x="${at}" y="${BOTTOM + 24}">${formatCount(value)}</text>`);
  }
  const [nearest = x.least] = x.ticks
    .filter(({ isDecade }) => isDecade)
    .map(({ value }) => value)
    .slice(-1);
  if (x.place(x.most) - x.place(nearest) > NUMBER_WIDTH) {
    parts.push(`<text class="middle" x="${fixed(x.place(x.most))}" y="${BOTTOM + 24}">${formatCount(x.most)}</text>`);
  }
  parts.push(`<path class="axis" d="M${LEFT} ${BOTTOM}H${RIGHT}"/>`);
  parts.push(`<text class="middle" x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 48}">descriptors</text>`);
  return parts;
}

/** Where select ends. */
function wall(x: Scale): string[] {
  if (!x.has(FD_SETSIZE)) return [];
  const at = x.place(FD_SETSIZE);
  return [
    `<path class="wall" id="wall" d="M${fixed(at)} ${TOP - 24}V${BOTTOM}"/>`,
    `<text class="end" x="${fixed(at - 9)}" y="${TOP - 12}">FD_SETSIZE, ${FD_SETSIZE}: here select ends</text>`,
  ];
}

interface Curve {
  call: Call;
  points: { x: number; y: number }[];
  label: string;
}

/** A line for each call with its points, and its name and last figure beside the last of them. */
function curves(steps: readonly Step[], x: Scale, y: Scale): string[] {
  const all = (["epoll", "poll", "select"] as const).flatMap((call) => {
    const points = pointsOf(steps, call).map(({ descriptors, ns }) => ({
      ns,
      x: x.place(descriptors),
      y: y.place(ns),
    }));
    const last = points.at(-1);
    const label = `${SERIES[call].name}<tspan class="time" dx="7">${formatTime(last?.ns ?? 0)}</tspan>`;
    return last === undefined ? [] : [{ call, points, label }];
  });
  const labels = new Map(beside(all.filter(({ points }) => points.length === steps.length)));
  return all.flatMap(({ call, points, label }) => [
    `<g class="${call}" id="${call}">`,
    `  <path class="curve" d="${points.map((point, i) => `${i === 0 ? "M" : "L"}${fixed(point.x)} ${fixed(point.y)}`).join("")}"/>`,
    ...points.map((point) => `  ${shapes[call](point.x, point.y)}`),
    `  ${labels.get(call) ?? above(points.at(-1), label)}`,
    "</g>",
  ]);
}

/** At the right, in the order of their lines, and none upon another. */
function beside(all: readonly Curve[]): [Call, string][] {
  const ends = all.map((curve) => ({ ...curve, end: curve.points.at(-1) ?? { x: 0, y: 0 } }));
  let least = -Infinity;
  return ends
    .sort((a, b) => a.end.y - b.end.y)
    .map(({ call, label, end }) => {
      const at = Math.max(end.y + 5, least);
      least = at + LABEL_HEIGHT;
      return [call, `<text class="label" x="${fixed(end.x + 18)}" y="${fixed(at)}">${label}</text>`];
    });
}

/** select ends amid the chart, close to poll, which goes on upwards to the right: there is room above, to the left. */
function above(last: { x: number; y: number } | undefined, label: string): string {
  if (last === undefined) return "";
  return `<text class="label end" x="${fixed(last.x - 12)}" y="${fixed(last.y - 14)}">${label}</text>`;
}

const shapes: Record<Call, (x: number, y: number) => string> = {
  select: (x, y) => `<rect class="point" x="${fixed(x - 2.5)}" y="${fixed(y - 2.5)}" width="5" height="5"/>`,
  poll: (x, y) => `<path class="point" d="M${fixed(x)} ${fixed(y - 5)}l5 5l-5 5l-5 -5z"/>`,
  epoll: (x, y) => `<circle class="point" cx="${fixed(x)}" cy="${fixed(y)}" r="4"/>`,
};

function below(caption: readonly string[]): string[] {
  return caption.map((line, i) => `<text x="32" y="${BOTTOM + 80 + 20 * i}">${escape(line)}</text>`);
}

function fixed(place: number): string {
  return place.toFixed(1);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
