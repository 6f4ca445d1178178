// epoll-hello why: measures select, poll and epoll_wait on this machine, and shows a table, a chart and a summary.

import { closeSync, existsSync, openSync, unlinkSync, writeFileSync } from "node:fs";
import { escapeControls } from "../../../kernel/escape-controls.ts";
import { FD_SETSIZE } from "../../comparison/fd-pool.ts";
import { formatInteger } from "../../comparison/format.ts";
import { DEFAULT_MAX_FDS } from "../../comparison/limits.ts";
import { formatMachine, type Machine, thisMachine } from "../../comparison/machine.ts";
import { measure, type Measurement, ROUNDS } from "../../comparison/measure.ts";
import { crossover, summarize } from "../../comparison/summary.ts";
import { svgChart } from "../../comparison/svg-chart.ts";
import { measurementTable, terminalChart } from "../../comparison/terminal-chart.ts";
import { hasColor } from "../color.ts";
import type { WhyCommand } from "../command-line.ts";
import { flushLines, printColored, printLine } from "../stdout.ts";
import { wrap } from "../wrap.ts";

/** Measures, and prints the result. Returns the exit code. */
export function why({ maxFds, svgFile, isJson }: WhyCommand): number {
  if (svgFile !== undefined) checkWritable(svgFile);
  const measurement = measureWithProgress(maxFds);
  const machine = thisMachine();
  const command = `epoll-hello why${maxFds === DEFAULT_MAX_FDS ? "" : ` --max ${maxFds}`}`;
  if (isJson) printLine(toJson(measurement, machine, command));
  else for (const line of toText(measurement, machine, command)) printColored(line);
  if (svgFile !== undefined) {
    const caption = [`${command} (median of ${ROUNDS} rounds)`, formatMachine(machine)];
    writeFileSync(svgFile, svgChart(measurement.steps, caption));
    if (!isJson) printLine(`wrote ${svgFile}`);
  }
  flushLines();
  return 0;
}

function toText({ steps, requestedFds, openFilesLimit }: Measurement, machine: Machine, command: string): string[] {
  const isColored = hasColor(1);
  const measuredFds = steps.at(-1)?.fds ?? 0;
  return [
    "Why epoll: the time of one call, with one active fd among many idle ones",
    "",
    ...measurementTable(steps, isColored),
    "",
    ...terminalChart(steps, isColored),
    "",
    ...summarize(steps).flatMap((sentence) => wrap(sentence)),
    ...(measuredFds < requestedFds
      ? wrap(
          `Measured up to ${formatInteger(measuredFds)} instead of ${formatInteger(requestedFds)} file descriptors: this process may open ${formatInteger(openFilesLimit)} files (ulimit -Hn).`,
        )
      : []),
    "",
    ...wrap(
      `Each call waits until a file descriptor is readable and determines which one it is. select and poll receive the whole list on every call; epoll received it once. The file descriptors are unix sockets, and the one in the middle of the list is active. Median of ${ROUNDS} interleaved rounds.`,
    ),
    "",
    ...wrap(escapeControls(formatMachine(machine))),
    command,
  ];
}

/** Times are nanoseconds per call. `null`: select cannot watch that many, or epoll_wait is never faster. */
function toJson({ steps, requestedFds, openFilesLimit }: Measurement, machine: Machine, command: string): string {
  return JSON.stringify(
    {
      command,
      machine,
      unit: "ns",
      rounds: ROUNDS,
      requestedFds,
      openFilesLimit,
      fdSetSize: FD_SETSIZE,
      steps,
      crossover: crossover(steps),
    },
    (_, value: unknown) => (typeof value === "number" ? Math.round(10 * value) / 10 : value),
    2,
  );
}

/** Shows progress on one line of the terminal, which is erased at the end. */
function measureWithProgress(maxFds: number): Measurement {
  if (!process.stderr.isTTY) return measure(maxFds);
  try {
    return measure(maxFds, (fraction) => {
      process.stderr.write(`\r\x1b[Kmeasuring: ${Math.floor(100 * fraction)} %`);
    });
  } finally {
    process.stderr.write("\r\x1b[K");
  }
}

/** Checked before measuring, which takes seconds. An existing file is kept until the new chart is complete. */
function checkWritable(file: string): void {
  const exists = existsSync(file);
  try {
    closeSync(openSync(file, "a"));
    if (!exists) unlinkSync(file);
  } catch (error) {
    throw new Error(`cannot write the SVG file: ${(error as Error).message}`, { cause: error });
  }
}
