// epoll-hello why: the document's opening question, answered with this machine's own figures.

import { closeSync, existsSync, openSync, unlinkSync, writeFileSync } from "node:fs";
import { terminalChart, table } from "../../comparison/terminal-chart.ts";
import { FD_SETSIZE } from "../../comparison/fd-set.ts";
import { crossover, summarize, formatCount } from "../../comparison/summary.ts";
import { describeMachine, type Machine, thisMachine } from "../../comparison/machine.ts";
import { type Measurement, measure, ROUNDS } from "../../comparison/measure.ts";
import { DEFAULT_MAX_FDS } from "../../comparison/limits.ts";
import { svgChart } from "../../comparison/svg-chart.ts";
import { hasColour } from "../flags.ts";
import type { WhyOptions } from "../command-line.ts";
import { flushLines, printLine, wrap } from "../stdout.ts";

/** Measure, and show it; returns the exit code. */
export function why({ max, svg: file, isJson }: WhyOptions): number {
  if (file !== undefined) checkWritable(file);
  const measurement = measureWithProgress(max);
  const machine = thisMachine();
  const command = `epoll-hello why${max === DEFAULT_MAX_FDS ? "" : ` --max ${max}`}`;
  if (isJson) printLine(json(measurement, machine, command));
  else for (const line of text(measurement, machine, command)) printLine(line);
  if (file !== undefined) {
    const caption = [`${command} (medians of ${ROUNDS} rounds)`, describeMachine(machine)];
    writeFileSync(file, svgChart(measurement.steps, caption));
    if (!isJson) printLine(`The picture is in ${file}`);
  }
  flushLines();
  return 0;
}

function text({ steps, asked, openFiles }: Measurement, machine: Machine, command: string): string[] {
  const isColourful = hasColour(process.stdout);
  const reached = steps.at(-1)?.descriptors ?? 0;
  return [
    "Why epoll: the time of one call, with one active descriptor among many idle ones",
    "",
    ...table(steps, isColourful),
    "",
    ...terminalChart(steps, isColourful),
    "",
    ...summarize(steps).flatMap(wrap),
    ...(reached < asked
      ? wrap(
          `It ends at ${formatCount(reached)}, not ${formatCount(asked)}: this process may have ${formatCount(openFiles)} files open (ulimit -Hn).`,
        )
      : []),
    "",
    ...wrap(
      `One call waits for ever until a descriptor can be read, and finds out which one it is. select and poll are told each time of all that are of interest, epoll was told once. They are unix sockets; the active one is the middle one. Medians of ${ROUNDS} rounds, in turns.`,
    ),
    "",
    ...wrap(describeMachine(machine)),
    command,
  ];
}

/** Times are nanoseconds for one call; `null`: select cannot watch so many, or epoll is never faster. */
function json({ steps, asked, openFiles }: Measurement, machine: Machine, command: string): string {
  return JSON.stringify(
    {
      command,
      machine,
      unit: "ns",
      rounds: ROUNDS,
      asked,
      openFiles,
      fdSetSize: FD_SETSIZE,
      steps,
      crossover: crossover(steps),
    },
    (_, value: unknown) => (typeof value === "number" ? Math.round(10 * value) / 10 : value),
    2,
  );
}

/** A line that is overwritten, where somebody looks on. */
function measureWithProgress(max: number): Measurement {
  if (!process.stderr.isTTY) return measure(max);
  try {
    return measure(max, (share) => {
      process.stderr.write(`\r\x1b[Kmeasuring: ${Math.floor(100 * share)} %`);
    });
  } finally {
    process.stderr.write("\r\x1b[K");
  }
}

/** Before the measuring, which takes a while. What is there stays as it is until there is something better. */
function checkWritable(file: string): void {
  const isThere = existsSync(file);
  try {
    closeSync(openSync(file, "a"));
    if (!isThere) unlinkSync(file);
  } catch (error) {
    throw new Error(`the picture cannot be written: ${(error as Error).message}`, { cause: error });
  }
}
