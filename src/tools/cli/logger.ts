// Errors and warnings on standard error, printed by consola: one line for each, and another one for a hint.

import type { ConsolaInstance, ConsolaReporter } from "consola/core";
import { ErrnoError } from "../../kernel/errors.ts";
import { escapeLines } from "../../kernel/escape-controls.ts";
import { hasColor } from "./color.ts";
import { writeColoredError } from "./stdout.ts";

const RED = 31;
const YELLOW = 33;
/** The level of warnings. Lower levels, which are errors, are printed too. */
const WARN_LEVEL = 1;

export function logError(message: string): void {
  log("error", message);
}

export function logWarning(message: string): void {
  log("warn", message);
}

type LogType = "error" | "warn";

let logger: ConsolaInstance | undefined;

function log(type: LogType, message: string): void {
  try {
    logger ??= createLogger();
  } catch {
    return print(type, message); // no fd is left to read consola's files
  }
  logger[type](message);
}

/** Loads consola on first use, because most runs print neither errors nor warnings. */
function createLogger(): ConsolaInstance {
  const { createConsola } = require("consola/core") as typeof import("consola/core");
  // A throttle would drop repeated messages.
  return createConsola({ level: WARN_LEVEL, throttle: 0, reporters: [reporter] });
}

/** Prints messages without consola's badges, dates and blank lines. */
const reporter: ConsolaReporter = {
  log: ({ type, args }) => print(type === "warn" ? "warn" : "error", args.join(" ")),
};

function print(type: LogType, message: string): void {
  const label = type === "warn" ? paint("warning", YELLOW) : paint("error", RED);
  writeColoredError(`${label}: ${escapeLines(message)}`);
}

function paint(text: string, color: number): string {
  return hasColor(2) ? `\x1b[${color}m${text}\x1b[39m` : text;
}

/** Returns the message of an error, with a hint on the next line if there is one for its code. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const hint = hintFor(error);
  return hint === undefined ? error.message : `${error.message}\n${hint}`;
}

/** Returns the same on one line. */
export function describeOnOneLine(error: unknown): string {
  return describeError(error).replace(/\n(.*?)\.?$/s, (_, hint: string) => ` (${hint.replaceAll("\n", "; ")})`);
}

function hintFor(error: Error): string | undefined {
  const { code = "", syscall } = error as NodeJS.ErrnoException;
  if (code === "EAGAIN" && syscall === "posix_spawn") return PROCESS_HINT;
  if (!(error instanceof ErrnoError) || error.address === undefined) return RESOURCE_HINTS[code];
  return (error.port === undefined ? UNIX_HINTS[code] : undefined) ?? HINTS[code] ?? RESOURCE_HINTS[code];
}

const PROCESS_HINT = "Raise the limit of processes: ulimit -u, or TasksMax= in a systemd unit.";

const RESOURCE_HINTS: Readonly<Record<string, string>> = {
  EMFILE: "Raise the limit of open files: ulimit -n, or LimitNOFILE= in a systemd unit.",
  ENFILE: "Raise the limit of open files of the whole system: sysctl fs.file-max.",
  ENOMEM: "Free memory, or raise the limit: ulimit -v, or MemoryMax= in a systemd unit.",
};

const HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "Another process is listening there. Stop it, or use another port (--port 0 takes any free port).",
  EACCES: "Ports below 1024 require root or CAP_NET_BIND_SERVICE.",
  EPERM: "Permission to listen there was denied.",
};

const UNIX_HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "Another process is listening there, or the path is not a socket. Use another path.",
  EACCES: "The directory of the socket must be writable.",
  ENOENT: "The directory of the socket does not exist. Create it first.",
  ENOTDIR: "A component of the path is not a directory.",
};
