// The SVG chart: well-formed and self-contained, with three lines, the limit of select, a description, and two themes.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { Step } from "../../src/tools/comparison/measure.ts";
import { svgChart } from "../../src/tools/comparison/svg-chart.ts";

setDefaultTimeout(60_000);

const steps: Step[] = [
  { fds: 10, select: 2110, poll: 1770, epoll: 574 },
  { fds: 100, select: 14_500, poll: 14_400, epoll: 556 },
  { fds: 1000, select: 178_000, poll: 158_000, epoll: 576 },
  { fds: 10_000, select: null, poll: 5_150_000, epoll: 555 },
];

/** Checks that tags are nested, attributes quoted and entities valid. Returns the names of the elements. */
function parse(xml: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  let at = 0;
  for (const tag of xml.matchAll(/<[^>]*>/g)) {
    expect(xml.slice(at, tag.index)).not.toMatch(/&(?!(amp|lt|gt|quot);)/);
    at = tag.index + tag[0].length;
    const [, end, name = "", attributes = "", isEmpty] = /^<(\/?)([a-z]+)([^]*?)(\/?)>$/.exec(tag[0]) ?? [];
    expect(attributes).toMatch(/^(?: [a-zA-Z-]+="[^"<]*")*$/);
    if (end === "/") {
      expect(name).toBe(open.pop() ?? "nothing is open");
    } else {
      seen.push(name);
      if (isEmpty !== "/") open.push(name);
    }
  }
  expect(open).toEqual([]);
  expect(xml.slice(at).trim()).toBe("");
  return seen;
}

test("is well-formed, and refers to no external resource", () => {
  const xml = svgChart(steps, ["epoll-hello why", "a machine"]);
  expect(parse(xml).slice(0, 4)).toEqual(["svg", "title", "desc", "style"]);
  expect(xml.replace('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(/https?:|url\(|@import|href|<script/);
  expect(xml).not.toMatch(/NaN|undefined|Infinity/);
});

test("draws a line for each call, with a point per time, labeled with its name and last time", () => {
  const xml = svgChart(steps, []);
  for (const [call, name, time, count] of [
    ["select", "select", "178 µs", 3],
    ["poll", "poll", "5.15 ms", 4],
    ["epoll", "epoll_wait", "555 ns", 4],
  ] as const) {
    const [group = ""] = new RegExp(`<g class="${call}" id="${call}">[^]*?</g>`).exec(xml) ?? [];
    expect(group).toMatch(/<path class="curve" d="M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)+"\/>/);
    expect(group.split('class="point"').length - 1).toBe(count);
    expect(group).toContain(`>${name}<tspan`);
    expect(group).toContain(`>${time}</tspan>`);
  }
});

test("draws the limit of select at 1024, if the chart extends that far", () => {
  const xml = svgChart(steps, []);
  const [, limit] = /<path class="limit" id="limit" d="M([\d.]+) /.exec(xml) ?? [];
  const [, thousand] = /<text class="middle" x="([\d.]+)" y="\d+">1,000</.exec(xml) ?? [];
  expect(Number(limit) - Number(thousand)).toBeGreaterThan(0);
  expect(Number(limit) - Number(thousand)).toBeLessThan(5);
  expect(xml).toContain("FD_SETSIZE (1024): the limit of select");
  expect(svgChart(steps.slice(0, 2), [])).not.toContain("FD_SETSIZE");
});

test("has a text description, and escapes the caption", () => {
  const xml = svgChart(steps, ['<script>"&"</script>']);
  parse(xml);
  expect(xml).toContain("&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;");
  expect(xml).toMatch(/role="img" aria-labelledby="title desc"/);
  expect(xml).toMatch(/<title id="title">Why epoll/);
  expect(xml).toMatch(/<desc id="desc">.*poll takes 9,280 times as long.*<\/desc>/);
  expect(xml).toContain("@media (prefers-color-scheme: dark)");
});

test("moves overlapping labels apart", () => {
  const xml = svgChart([{ fds: 10, select: 300, poll: 301, epoll: 299 }], []);
  parse(xml);
  const at = [...xml.matchAll(/<text class="label" x="[\d.]+" y="([\d.]+)">/g)].map(([, y]) => Number(y)).sort();
  expect(at).toHaveLength(3);
  for (const [i, y] of at.slice(1).entries()) expect(y - (at[i] ?? 0)).toBeGreaterThanOrEqual(18);
});
