// Draws the results of the HTTP benchmark as an SVG for light and dark pages: processor time per request, by workload and server.

import { median } from "./numbers.ts";
import type { Result } from "../http.ts";

const WIDTH = 900;
const LEFT = 230;
const RIGHT = 800;
const TOP = 122;
const ROW = 24;
const BAR = 15;
const GAP = 62;

/** EpollServer has its own color. The system time of each bar is paler, with an outline. */
const style = `
    svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --ours: #00795a; --theirs: #6e7781;
          font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #0d1117; --ink: #f0f6fc; --soft: #9da7b3; --ours: #2fc99a; --theirs: #8b949e; }
    }
    .paper { fill: var(--paper); }
    text { fill: var(--soft); font-size: 13px; }
    .title { fill: var(--ink); font-size: 21px; font-weight: 650; }
    .subtitle { font-size: 14px; }
    .work { fill: var(--ink); font-size: 15px; font-weight: 650; }
    .name, .end { text-anchor: end; }
    .ours text { fill: var(--ours); font-weight: 650; }
    .bar { fill: var(--theirs); }
    .ours .bar { fill: var(--ours); }
    .system { fill-opacity: 0.3; stroke: var(--theirs); stroke-width: 1; }
    .ours .system { stroke: var(--ours); }
  `;

/** @param machine the hardware and the versions, as one line */
export function chart(results: readonly Result[], machine: string, command: string): string {
  const parts: string[] = [];
  let y = TOP;
  for (const { workload, rows } of results) {
    parts.push(`<text class="work" x="32" y="${y}">${escape(workload.title)}</text>`);
    y += 14;
    const bars = rows.map(({ name, rounds }) => {
      const total = median(rounds.map(({ cpuUs }) => cpuUs));
      const user = Math.min(total, median(rounds.map(({ userUs }) => userUs)));
      return { name, total, user, system: total - user };
    });
    const most = Math.max(...bars.map(({ total }) => total));
    const scale = (us: number): number => (us / most) * (RIGHT - LEFT);
    for (const { name, total, user, system } of bars.sort((a, b) => a.total - b.total)) {
      const [split, end] = [LEFT + scale(user), LEFT + scale(total)];
      parts.push(
        `<g class="${name.startsWith("EpollServer") ? "ours" : "theirs"}">`,
        `  <text class="name" x="${LEFT - 10}" y="${y + 12}">${escape(name)}</text>`,
        `  <rect class="bar" x="${LEFT}" y="${y}" width="${scale(user).toFixed(1)}" height="${BAR}"/>`,
        `  <rect class="bar system" x="${split.toFixed(1)}" y="${y}" width="${scale(system).toFixed(1)}" height="${BAR}"/>`,
        `  <text x="${(end + 8).toFixed(1)}" y="${y + 12}">${total.toFixed(total < 1 ? 2 : 1)} µs</text>`,
        "</g>",
      );
      y += ROW;
    }
    y += GAP - 14;
  }
  const lines = [...wrapped(machine, 120), command];
  const height = y - 10 + 20 * lines.length;
  const title = "Processor time per request";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title desc">
  <title id="title">${title}</title>
  <desc id="desc">${escape(summary(results))}</desc>
  <style>${style}</style>
  <rect class="paper" width="${WIDTH}" height="${height}" rx="8"/>
  <text class="title" x="32" y="44">${title}</text>
  <text class="subtitle" x="32" y="70">Server process only, all threads, 64 connections; lower is better. Solid: user time; pale: system time.</text>
  <text class="subtitle" x="32" y="90">All realistic requests differ: browsers, API clients, proxies. Each group has its own scale.</text>
${parts.map((line) => `  ${line}`).join("\n")}
${lines.map((line, i) => `  <text x="32" y="${y - 20 + 20 * i}">${escape(line)}</text>`).join("\n")}
</svg>
`;
}

/** Lists all figures, for screen readers. */
function summary(results: readonly Result[]): string {
  return results
    .map(({ workload, rows }) => {
      const figures = rows.map(
        ({ name, rounds }) => `${name} ${median(rounds.map(({ cpuUs }) => cpuUs)).toFixed(2)} µs`,
      );
      return `${workload.title}: ${figures.join(", ")}.`;
    })
    .join(" ");
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
