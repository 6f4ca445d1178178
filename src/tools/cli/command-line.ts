// The types of a parsed command line.

import type { EpollServerOptions } from "../../index.ts";
import type { ProcessSelection } from "../debugger/thread-messages.ts";
import type { Balance } from "../../workers/listen-sockets.ts";

/** The command line is wrong: exit code 2. The message says what to write instead. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** The named commands. Serving is the default, and has no name. */
export const SUBCOMMANDS = ["why", "replay", "lesson", "addons"] as const;
export type Subcommand = (typeof SUBCOMMANDS)[number];
export type Command = "serve" | Subcommand;

export function isSubcommand(word: string | undefined): word is Subcommand {
  return (SUBCOMMANDS as readonly (string | undefined)[]).includes(word);
}

/** The file of a program without a default export, and its arguments. */
export type Program = readonly [file: string, ...rest: string[]];

export type CommandLine =
  | { kind: "help"; command: Command }
  | { kind: "version" }
  | ServeCommand
  | { kind: "trace-program"; program: Program; trace: TraceOutput }
  | { kind: "trace-process"; process: ProcessSelection; trace: TraceOutput }
  | StepCommand
  | InspectCommand
  | WhyCommand
  | ReplayCommand
  | { kind: "lesson"; id: string | undefined; isJson: boolean }
  | AddonsCommand;

/** The app that a server serves, and the server's options. */
interface ServerSelection {
  /** The options set by flags. If they contain no address, the app's address or the default is used. */
  options: EpollServerOptions;
  /** The file whose default export is served. Undefined: every request gets the default response. */
  app: string | undefined;
}

export interface ServeCommand extends ServerSelection {
  kind: "serve";
  isQuiet: boolean;
  /** Print credentials instead of redacting them. */
  showsSecrets: boolean;
  /** Use the sockets passed by systemd, and report to it. */
  usesSystemd: boolean;
  workers: WorkerOptions | undefined;
  trace: TraceOutput | undefined;
}

export interface WorkerOptions {
  count: number;
  /** Default: reuseport for a TCP port, otherwise shared. */
  balance: Balance | undefined;
  /** How long a worker may go without a report, in milliseconds; Infinity: indefinitely. */
  timeoutMs: number | undefined;
}

export interface StepCommand extends ServerSelection {
  kind: "step";
  program: Program | undefined;
  /** Another process to debug instead of a server. */
  process?: ProcessSelection | undefined;
  isNumeric: boolean;
  showsBytes: boolean;
  showsSecrets: boolean;
  /** A trace of the same session; undefined: none. */
  trace: TraceOutput | undefined;
  /** The port of an inspector that shows the same session; undefined: no inspector. */
  inspectorPort: number | undefined;
}

export interface InspectCommand extends ServerSelection {
  kind: "inspect";
  program: Program | undefined;
  /** Another process to inspect instead of a server. */
  process?: ProcessSelection | undefined;
  showsBytes: boolean;
  showsSecrets: boolean;
  /** A trace of the same loop; undefined: none. */
  trace: TraceOutput | undefined;
  inspectorPort: number;
  /** Pause at the start, until a page continues. */
  waitsForPage: boolean;
}

export interface ReplayCommand {
  kind: "replay";
  /** The trace file; `-`: standard input. */
  file: string;
  isStepping: boolean;
  /** The file to write a Chrome trace to; undefined: none. */
  chromeFile: string | undefined;
  inspectorPort: number | undefined;
  trace: TraceOutput;
}

/** Where a trace is written, and in which format. */
export interface TraceOutput {
  /** The format in which it is printed; undefined: it is not printed. */
  format: "text" | "json" | undefined;
  /** The file to save it to. */
  file: string | undefined;
  /** The size limit of that file; Infinity: none. */
  maxFileBytes: number;
  isNumeric: boolean;
  /** Begin each line with the time since the previous one. */
  hasTimestamps: boolean;
  showsBytes: boolean;
  /** Include the values of credentials. */
  showsSecrets: boolean;
  /** Print detailed totals at the end. */
  hasSummary: boolean;
  /** The file of the traced program or app; undefined: the default server, or a saved trace. */
  program: string | undefined;
}

export interface WhyCommand {
  kind: "why";
  /** The largest number of file descriptors to measure. */
  maxFds: number;
  /** The file to write the SVG chart to. */
  svgFile: string | undefined;
  isJson: boolean;
}

export interface AddonsCommand {
  kind: "addons";
  /** The directory of the project. */
  directory: string;
  /** List the functions and the file of each addon. */
  isVerbose: boolean;
  isJson: boolean;
}
