// epoll-hello --trace, --trace-file and replay: the events as text, as JSON and as a Chrome trace. A slow reader blocks the loop.

import { closeSync, openSync } from "node:fs";
import type { TraceEvent, TraceOptions } from "../../../index.ts";
import { toChromeTrace } from "../../chrome-trace.ts";
import { eventToJson } from "../../trace-json.ts";
import { TraceSummary } from "../../trace-summary.ts";
import { TraceText } from "../../trace-text.ts";
import { hasColor } from "../color.ts";
import type { TraceOutput } from "../command-line.ts";
import { formatCount } from "../format.ts";
import { LineWriter, STDERR, STDOUT } from "../line-writer.ts";
import { finishOutput, printLine, writeError } from "../stdout.ts";
import { TraceFileWriter } from "../trace-file-writer.ts";
import { readEvents } from "../trace-input.ts";

export interface TraceWriter {
  /** The options of a tracer whose events are written. */
  options: TraceOptions;
  flush(): void;
  /** Writes what is buffered and the summary, and closes the file. */
  close(): void;
}

/**
 * @param usesStderr whether the trace is printed on standard error, because the debugger's prompt is on standard output
 * @throws {Error} if the file cannot be written
 */
export function openTraceWriter(output: TraceOutput, usesStderr: boolean = false): TraceWriter {
  const file = output.file === undefined ? undefined : new TraceFileWriter(output.file, output.maxFileBytes);
  const { format, hasSummary } = output;
  const printer = format === undefined && !hasSummary ? undefined : createPrinter(output, usesStderr ? STDERR : STDOUT);
  const flush = (): void => {
    printer?.writer.flush();
    file?.flush();
  };
  return {
    options: {
      bytes: output.showsBytes,
      secrets: output.showsSecrets,
      program: output.program,
      listener: (event) => {
        printer?.add(event);
        file?.add(event);
        if (event.type === "iteration") flush(); // the next wait may block indefinitely
      },
    },
    flush,
    close: () => {
      printer?.end(true);
      const note = file?.close();
      if (note !== undefined) writeError(note);
    },
  };
}

/** Prints a saved trace, or converts it. Returns the exit code. */
export function replay(file: string, output: TraceOutput, chromeFile: string | undefined): number {
  if (chromeFile !== undefined) return convertToChrome(file, chromeFile);
  const printer = createPrinter(output.hasSummary ? { ...output, format: undefined } : output, STDOUT);
  let isWhole = false;
  try {
    for (const event of readEvents(file)) {
      printer.add(event);
      if (printer.writer.hasFailed) break;
    }
    isWhole = true;
  } finally {
    printer.end(isWhole); // the events before a malformed one are shown
  }
  return 0;
}

function convertToChrome(file: string, chromeFile: string): number {
  let fd: number;
  try {
    fd = openSync(chromeFile, "w");
  } catch (error) {
    throw new Error(`cannot write the Chrome trace: ${(error as Error).message}`, { cause: error });
  }
  const writer = new LineWriter(fd, chromeFile);
  let count = 0;
  try {
    const events = (function* (): Generator<TraceEvent, void, undefined> {
      for (const event of readEvents(file)) {
        count++;
        yield event;
      }
    })();
    for (const line of toChromeTrace(events)) {
      writer.write(line);
      if (writer.hasFailed) break;
    }
  } finally {
    writer.flush();
    closeSync(fd);
  }
  if (!writer.hasFailed) {
    printLine(
      `wrote ${formatCount(count, "event")} to ${chromeFile}; open it at https://ui.perfetto.dev or chrome://tracing`,
    );
  }
  return finishOutput(0);
}

interface Printer {
  writer: LineWriter;
  add(event: TraceEvent): void;
  /** Prints what is left, and after text a summary. */
  end(hasSummary: boolean): void;
}

function createPrinter(output: TraceOutput, fd: typeof STDOUT | typeof STDERR): Printer {
  const { format, isNumeric, hasTimestamps, hasSummary: hasDetails } = output;
  const writer = new LineWriter(fd, fd === STDOUT ? "standard output" : "standard error");
  const summary = new TraceSummary();
  const printSummary = (hasSummary: boolean): void => {
    writer.flush();
    if (!hasSummary || writer.hasFailed) return;
    for (const line of hasDetails ? summary.formatDetails() : summary.format()) writeError(line);
  };
  if (format === undefined) return { writer, add: (event) => summary.add(event), end: printSummary };
  if (format === "json") {
    return {
      writer,
      add: (event) => {
        writer.write(eventToJson(event));
        if (hasDetails) summary.add(event);
      },
      end: (hasSummary) => printSummary(hasSummary && hasDetails),
    };
  }
  const isColored = hasColor(fd);
  const text = new TraceText({
    isNumeric,
    hasTimestamps,
    print: (line, type) => {
      const style = isColored ? ANSI_STYLES[type ?? "state"] : undefined;
      writer.write(style === undefined ? line : `\x1b[${style}m${line}\x1b[0m`);
    },
  });
  return {
    writer,
    add: (event) => {
      text.add(event);
      summary.add(event);
    },
    end: (hasSummary) => {
      text.end();
      printSummary(hasSummary);
    },
  };
}

/** Bold, dim, and yellow. */
const ANSI_STYLES: Partial<Record<TraceEvent["type"], string>> = { wait: "1", state: "2", warning: "33" };
