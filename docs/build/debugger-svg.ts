// Draws docs/debugger.svg: a session with the debugger as an animated picture, from a real run.
//
//   bun docs/build/debugger-svg.ts

import { join } from "node:path";

/** What is typed, line by line. */
const COMMANDS = ["connect", "n", "s", "n", "send c1", "n", "why", "n", "n", "recv"];

const root = join(import.meta.dir, "../..");

const COLUMNS = 80;
const ROWS = 24;
const FONT_PX = 14;
const CHAR_PX = 8.4;
const LINE_PX = 20;
const PADDING_PX = 16;
const TITLE_PX = 34;
const WIDTH_PX = Math.ceil(COLUMNS * CHAR_PX) + 2 * PADDING_PX;
const HEIGHT_PX = TITLE_PX + ROWS * LINE_PX + PADDING_PX;

/** A pause before each command, the time per typed character, and the time that the last frame stays. */
const PAUSE_S = 1.1;
const TYPING_S = 0.07;
const LAST_FRAME_S = 4;

const COLORS = {
  background: "#0d1117",
  frame: "#30363d",
  text: "#e6edf3",
  dim: "#8b949e",
  prompt: "#7ee787",
  call: "#79c0ff",
  events: "#ffa657",
};

type Color = keyof typeof COLORS;

interface Span {
  text: string;
  color: Color;
  isBold?: boolean;
}

/** One row of the terminal. A typed row shows its first span immediately, and then the second one, character by character. */
interface Row {
  spans: Span[];
  isTyped: boolean;
  /** When it appears, in seconds. */
  atS: number;
}

const rows = layOut(await record());
const picture = draw(rows);
await Bun.write(join(root, "docs/debugger.svg"), picture);
console.log(`docs/debugger.svg: ${rows.length} rows, ${Math.ceil(picture.length / 1024)} KiB`);

/** Runs the session, and returns what the terminal shows. */
async function record(): Promise<string[]> {
  const child = Bun.spawn(
    [process.execPath, "src/tools/cli/main.ts", "--step", "--numeric", "--host", "127.0.0.1", "--port", "0"],
    { cwd: root, stdin: new Blob([[...COMMANDS, "q", ""].join("\n")]), stdout: "pipe", stderr: "inherit" },
  );
  const output = await new Response(child.stdout).text();
  if ((await child.exited) !== 0 || !output.includes("Hello from Epoll server!")) {
    throw new Error(`the session failed:\n${output}`);
  }
  const lines = normalize(output).trimEnd().split("\n");
  return ["$ bunx epoll-hello --step --numeric", ...lines.filter((line) => !/^\(epoll\) q$/.test(line))];
}

/** Replaces what differs from run to run: file descriptors, ports, times. */
function normalize(output: string): string {
  const fds = [
    [/accept4\((\d+)\)/, "7"],
    [/epoll_wait\((\d+)/, "9"],
    [/accept4\(\d+\) += (\d+)/, "11"],
  ] as const;
  const ports = [...new Set([...output.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port = ""]) => port))];
  const numbers = new Map(ports.map((port, i) => [port, i === 0 ? "8800" : String(50_000 + i)]));
  for (const [pattern, number] of fds) {
    const found = pattern.exec(output)?.[1];
    if (found === undefined) throw new Error(`the session shows no ${pattern}:\n${output}`);
    numbers.set(found, number);
  }
  return output
    .split("\n")
    .map((line) => {
      const replaced = line
        .replace(/Date: [^\\]+/, "Date: Thu, 01 Jan 2026 12:00:00 GMT")
        .replace(/ \+(\d+\.\d+)s$/, (_, seconds: string) => ` +${Number(seconds).toFixed(1)}s`)
        .replace(/:(\d+)(?=\b)/g, (all, port: string) => (ports.includes(port) ? `:${numbers.get(port)}` : all));
      if (/^#|^\s*\w+\(/.test(replaced)) {
        return replaced.replace(/(?<=[(\s])\d+(?=[,)\s]|$)/g, (number) => numbers.get(number) ?? number);
      }
      return replaced.replace(/(?<=^|\b(?:fd|descriptor) )\d+\b/g, (number) => numbers.get(number) ?? number);
    })
    .join("\n");
}

/** Colors the lines, wraps them, and gives each row its time. */
function layOut(lines: readonly string[]): Row[] {
  const result: Row[] = [];
  let nowS = 0.5;
  for (const [i, line] of lines.entries()) {
    const [, prompt, typed] = /^(\(epoll\) |\$ )(.*)$/.exec(line) ?? [];
    if (prompt === undefined || typed === undefined) {
      for (const part of wrap(line)) result.push({ spans: highlight(part), isTyped: false, atS: nowS });
      continue;
    }
    const color = prompt === "$ " ? "dim" : "prompt";
    const spans: Span[] = [
      { text: prompt, color },
      { text: typed, color: "text", isBold: true },
    ];
    result.push({ spans, isTyped: true, atS: nowS });
    nowS += (i === 0 ? 0.4 : PAUSE_S) + typed.length * TYPING_S + 0.2;
  }
  return result;
}

function highlight(line: string): Span[] {
  if (line.startsWith("> ")) return [{ text: line, color: "dim" }];
  const call = /^(#\d+ | +)(\w+)(\(.*?\) = )(.*?)( +(?:\+[\d.]+s|[\d.]+:\d+))?$/.exec(line);
  if (call === null) return [{ text: line, color: "text" }];
  const [, lead = "", name = "", args = "", result = "", rest = ""] = call;
  return [
    { text: lead, color: "dim" },
    { text: name, color: "call" },
    { text: args, color: "text" },
    { text: result, color: "events", isBold: true },
    { text: rest, color: "dim" },
  ];
}

/** Breaks a line that is too long, at a space if possible. */
function wrap(line: string): string[] {
  const result: string[] = [];
  let rest = line;
  while (rest.length > COLUMNS) {
    const space = rest.lastIndexOf(" ", COLUMNS);
    const end = space > COLUMNS / 2 ? space : COLUMNS;
    result.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...result, rest];
}

function draw(shown: readonly Row[]): string {
  const lastS = (shown.at(-1)?.atS ?? 0) + LAST_FRAME_S;
  const percent = (seconds: number): string => `${((100 * seconds) / lastS).toFixed(2)}%`;
  const just = (seconds: number): string => percent(seconds - 0.01);
  const duration = `${lastS.toFixed(1)}s infinite`;
  const styles: string[] = [];
  const texts: string[] = [];

  // Rows that appear at the same time share an animation.
  const moments = [...new Set(shown.map(({ atS }) => atS))];
  for (const [i, atS] of moments.entries()) {
    styles.push(
      `@keyframes a${i}{0%,${just(atS)}{visibility:hidden}${percent(atS)},100%{visibility:visible}}`,
      `.a${i}{animation:a${i} ${duration}}`,
    );
  }
  for (const [i, { spans, isTyped, atS }] of shown.entries()) {
    const y = (i + 1) * LINE_PX - 5;
    texts.push(`<g class="a${moments.indexOf(atS)}">${textAt(spans, y)}</g>`);
    if (!isTyped) continue;
    const [before = 0, length = 0] = spans.map(({ text }) => text.length);
    const startS = atS + (i === 0 ? 0.4 : PAUSE_S);
    const endS = startS + length * TYPING_S;
    const x = PADDING_PX + before * CHAR_PX;
    const travel = (length * CHAR_PX).toFixed(1);
    // A cover with a cursor at its left edge moves right character by character, and disappears once the command has run.
    styles.push(
      `@keyframes c${i}{0%,${just(atS)}{visibility:hidden;transform:none}` +
        `${percent(atS)}{visibility:visible;transform:none}` +
        `${percent(startS)}{visibility:visible;transform:none;animation-timing-function:steps(${length})}` +
        `${percent(endS)}{visibility:visible;transform:translateX(${travel}px)}` +
        `${percent(endS + 0.2)},100%{visibility:hidden;transform:translateX(${travel}px)}}`,
      `.c${i}{animation-name:c${i}}`,
    );
    const top = i * LINE_PX;
    texts.push(
      `<g class="cover c${i}"><rect x="${x}" y="${top}" width="${length * CHAR_PX + 1}" height="${LINE_PX}"/>` +
        `<rect class="cursor" x="${x}" y="${top + 2}" width="${CHAR_PX}" height="${LINE_PX - 4}"/></g>`,
    );
  }

  // The rows scroll when there are more than the window shows.
  const scrolls = shown.flatMap(({ atS }, i) => {
    const next = shown[i + 1];
    return next !== undefined && next.atS === atS ? [] : [{ atS, offset: offsetOf(i) }];
  });
  const frames = scrolls.map(({ atS, offset }, i) => {
    const until = scrolls[i + 1]?.atS;
    return `${percent(atS)},${until === undefined ? "100%" : just(until)}{transform:translateY(${-offset}px)}`;
  });
  styles.push(`@keyframes scroll{0%{transform:none}${frames.join("")}}`);

  const description = `A terminal session: ${COMMANDS.join(", ")}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH_PX}" height="${HEIGHT_PX}" viewBox="0 0 ${WIDTH_PX} ${HEIGHT_PX}" role="img" aria-labelledby="title description">
<title id="title">The epoll-hello debugger</title>
<desc id="description">${escape(description)}</desc>
<style>
text{font:${FONT_PX}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}
${Object.entries(COLORS)
  .map(([name, color]) => `.${name}{fill:${color}}`)
  .join("")}
.bold{font-weight:600}
.rows{transform:translateY(${-offsetOf(shown.length - 1)}px);animation:scroll ${duration}}
.cover{visibility:hidden;fill:${COLORS.background};animation:${duration}}
.cursor{fill:${COLORS.text}}
${styles.join("\n")}
@media (prefers-reduced-motion:reduce){*{animation:none!important}}
</style>
<rect width="${WIDTH_PX}" height="${HEIGHT_PX}" rx="8" fill="${COLORS.background}" stroke="${COLORS.frame}"/>
${[0, 1, 2].map((i) => `<circle cx="${PADDING_PX + 6 + i * 18}" cy="17" r="5" fill="${COLORS.frame}"/>`).join("")}
<svg y="${TITLE_PX}" width="${WIDTH_PX}" height="${ROWS * LINE_PX}"><g class="rows">
${texts.join("\n")}
</g></svg>
</svg>
`;
}

function offsetOf(row: number): number {
  return Math.max(0, row + 1 - ROWS) * LINE_PX;
}

function textAt(spans: readonly Span[], y: number): string {
  let column = 0;
  return spans
    .map(({ text, color, isBold }) => {
      const x = PADDING_PX + column * CHAR_PX;
      column += text.length;
      if (text.trim() === "") return "";
      // textLength keeps the columns aligned with any font.
      const length = (text.length * CHAR_PX).toFixed(1);
      const classes = isBold === true ? `${color} bold` : color;
      return `<text class="${classes}" x="${x.toFixed(1)}" y="${y}" textLength="${length}">${escape(text)}</text>`;
    })
    .join("");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
