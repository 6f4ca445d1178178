// Parses the command line: one function for each command.

import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { EpollServerOptions } from "../../index.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import { moduleFile } from "../../kernel/package-root.ts";
import { suggest } from "../../kernel/suggest.ts";
import { DEFAULT_MAX_FDS, MAX_FDS, MIN_FDS } from "../comparison/limits.ts";
import {
  type CommandLine,
  type InspectCommand,
  isSubcommand,
  type Program,
  SUBCOMMANDS,
  type TraceOutput,
  UsageError,
  type WorkerOptions,
} from "./command-line.ts";
import {
  addonsFlags,
  ANY_PROXY,
  DEFAULT_TRACE_MAX,
  lessonFlags,
  MAX_INT32,
  MAX_PORT,
  MAX_WORKER_TIMEOUT,
  MAX_WORKERS,
  MIN_TRACE_MAX,
  replayFlags,
  serveFlags,
  whyFlags,
} from "./flags.ts";
import {
  type Conflicts,
  isGiven,
  mustBe,
  type ParsedArguments,
  parseFlags,
  parseInteger,
  rejectConflicts,
  rejectIncomplete,
  rejectSurplus,
  type Requirements,
} from "./validate.ts";

/**
 * @param isWorker whether to skip the checks of the app's file: the supervisor has made them, and loading the app reports any later problem
 * @throws {UsageError} if the command line is wrong
 * @throws {Error} if the file of the app does not exist
 */
export function parseArguments(rawArguments: readonly string[], isWorker = false): CommandLine {
  const [word, ...others] = rawArguments;
  if (!isSubcommand(word)) {
    if (word !== undefined && !isWorker) rejectMisspelledCommand(word, others);
    return parseServe(rawArguments, isWorker);
  }
  switch (word) {
    case "why":
      return parseWhy(others);
    case "replay":
      return parseReplay(others);
    case "lesson":
      return parseLesson(others);
    case "addons":
      return parseAddons(others);
  }
}

type ServeArguments = ParsedArguments<typeof serveFlags>["given"];

const SERVE_CONFLICTS: Conflicts = [
  ["unix", ["fd", "systemd", "port", "host"]],
  ["fd", ["systemd", "port", "host", "backlog"]],
  ["systemd", ["port", "host", "backlog"]],
  ["step", ["workers", "balance", "worker-timeout"], "the debugger controls the loop of one process"],
  ["step", ["systemd"], "while the loop is paused, it can't report to systemd"],
  ["step", ["quiet"], "the prompt prints no requests that could be left out"],
  ["step", ["inspect-brk"], "the prompt waits at the start as well: use --inspect"],
  ["inspect", ["inspect-brk"], "--inspect-brk is --inspect that waits for the page"],
  ["inspect", ["workers", "balance", "worker-timeout"], "the inspector shows the loop of one process"],
  ["inspect", ["systemd"], "while the loop is paused, it can't report to systemd"],
  ["inspect-brk", ["workers", "balance", "worker-timeout"], "the inspector shows the loop of one process"],
  ["inspect-brk", ["systemd"], "while the loop is paused, it can't report to systemd"],
  ["classic", ["health", "metrics"], "the original program answers every request alike"],
  ["trace", ["workers"], "every worker has a loop of its own; trace one process"],
  ["summary", ["workers"], "every worker has a loop of its own; trace one process"],
  ["trace-file", ["workers"], "every worker has a loop of its own; trace one process"],
];

const SERVE_REQUIREMENTS: Requirements = [
  ["balance", ["workers"]],
  ["worker-timeout", ["workers"]],
  ["numeric", ["trace", "trace-file", "step"]],
  ["show-bytes", ["trace", "trace-file", "step", "inspect", "inspect-brk"]],
  ["timestamps", ["trace"]],
  ["trace-max", ["trace-file"]],
];

/** Flags that have no meaning for a program, which creates its own servers. */
const SERVER_ONLY_FLAGS = [
  "port",
  "host",
  "unix",
  "fd",
  "systemd",
  "workers",
  "balance",
  "worker-timeout",
  "proxy-protocol",
  "health",
  "metrics",
  "classic",
  "backlog",
  "quiet",
] as const;

function parseServe(rawArguments: readonly string[], isWorker: boolean): CommandLine {
  const { given, positionals, rest } = parseFlags(rawArguments, serveFlags);
  if (given.help) return { kind: "help", command: "serve" };
  if (given.version) return { kind: "version" };
  const [app, ...surplus] = positionals;
  if (app !== undefined && !isWorker) rejectMisspelledCommand(app, surplus);
  rejectSurplus(positionals, isSubcommand(app) ? 0 : 1);
  if (app !== undefined && !isWorker) {
    rejectDetachedValue(given, app);
    checkAppExists(app);
    if (isProgram(app)) return parseProgram(given, app, rest);
  }
  if (app === undefined && (given.pid !== undefined || rest.length > 0)) return parseProcess(given, rest);
  if (rest.length > 0)
    throw new UsageError("arguments after -- are for a program: epoll-hello --trace program.ts -- 8801");
  rejectProcessFlags(given, app === undefined ? "" : ` ${app}`);
  rejectConflicts(given, SERVE_CONFLICTS);
  rejectIncomplete(given, SERVE_REQUIREMENTS);
  const options = serverOptions(given);
  const workers = workerOptions(given);
  const trace = traceOutput(given, app);
  const shared = { options, app, program: undefined, trace, ...shownData(given) };
  const inspected = inspection(given);
  if (given.step) {
    return { kind: "step", ...shared, isNumeric: given.numeric === true, inspectorPort: inspected?.inspectorPort };
  }
  if (inspected !== undefined) return { kind: "inspect", ...shared, ...inspected };
  return {
    kind: "serve",
    options,
    app,
    isQuiet: given.quiet === true,
    showsSecrets: given["show-secrets"] === true,
    usesSystemd: given.systemd === true,
    workers,
    trace,
  };
}

function serverOptions(given: ServeArguments): EpollServerOptions {
  const { port, host, unix, fd, backlog, classic, step, health, metrics } = given;
  const options: EpollServerOptions = (classic ?? step) ? { keepAlive: false, eager: false } : {};
  if (backlog !== undefined) options.backlog = parseInteger("backlog", backlog, 1, MAX_INT32);
  if (port !== undefined) options.port = parseInteger("port", port, 0, MAX_PORT);
  if (host !== undefined) options.hostname = host;
  if (unix !== undefined) options.unix = unix.replace(/^@/, "\0");
  if (fd !== undefined) options.fd = fd.split(",").map((number) => parseInteger("fd", number, 0, MAX_INT32));
  const proxies = given["proxy-protocol"];
  if (proxies !== undefined) options.proxyProtocol = proxies === ANY_PROXY ? true : { from: proxies.split(",") };
  if (health !== undefined) options.health = parsePath("health", health);
  if (metrics !== undefined) options.metrics = parsePath("metrics", metrics);
  return options;
}

function parsePath(flag: "health" | "metrics", text: string): string {
  if (text.startsWith("/")) return text;
  throw mustBe(flag, serveFlags[flag].expects, text);
}

function workerOptions(given: ServeArguments): WorkerOptions | undefined {
  const { workers, balance } = given;
  if (balance !== undefined && balance !== "shared" && balance !== "reuseport") {
    throw mustBe("balance", serveFlags.balance.expects, balance);
  }
  if (workers === undefined) return undefined;
  const count =
    workers === "auto"
      ? Math.min(availableParallelism(), MAX_WORKERS)
      : parseInteger("workers", workers, 1, MAX_WORKERS, serveFlags.workers.expects);
  const otherAddress = (["unix", "fd", "systemd"] as const).find((flag) => isGiven(given, flag));
  if (balance === "reuseport" && otherAddress !== undefined) {
    throw new UsageError(
      `--balance reuseport cannot be used with --${otherAddress}: only a TCP port can have several accept queues`,
    );
  }
  return { count, balance, timeoutMs: workerTimeoutMs(given["worker-timeout"]) };
}

function workerTimeoutMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = parseInteger("worker-timeout", text, 0, MAX_WORKER_TIMEOUT);
  return seconds === 0 ? Infinity : seconds * 1000;
}

function shownData(given: ServeArguments): { showsBytes: boolean; showsSecrets: boolean } {
  return { showsBytes: given["show-bytes"] === true, showsSecrets: given["show-secrets"] === true };
}

const SIZE_UNITS = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 } as const;

/** @throws {UsageError} unless the text is 0 or a size such as `64M` */
function parseTraceMax(text: string): number {
  const [, number = "", unit = ""] = /^(\d{1,9})([KMG]?)$/i.exec(text) ?? [];
  const bytes = Number(number) * SIZE_UNITS[unit.toUpperCase() as keyof typeof SIZE_UNITS];
  if (number !== "" && bytes === 0) return Infinity;
  if (bytes >= MIN_TRACE_MAX) return bytes;
  throw mustBe("trace-max", serveFlags["trace-max"].expects, text);
}

function traceOutput(given: ServeArguments, program: string | undefined): TraceOutput | undefined {
  const { trace, "trace-file": file, "trace-max": max } = given;
  if (trace === undefined && file === undefined && given.summary !== true) return undefined;
  if (trace !== undefined && trace !== "text" && trace !== "json") {
    throw mustBe("trace", serveFlags.trace.expects, trace);
  }
  if (trace === "json" && given.timestamps)
    throw new UsageError("--timestamps cannot be used with --trace=json: JSON has the time of every event");
  return {
    format: trace,
    file,
    maxFileBytes: max === undefined ? DEFAULT_TRACE_MAX : parseTraceMax(max),
    isNumeric: given.numeric === true,
    hasTimestamps: given.timestamps === true,
    hasSummary: given.summary === true,
    ...shownData(given),
    program: program === undefined ? undefined : resolve(program),
  };
}

function inspectorPort(text: string | undefined, flag: string = "inspect"): number | undefined {
  return text === undefined ? undefined : parseInteger(flag, text, 0, MAX_PORT);
}

/** Returns how to inspect; undefined if neither --inspect nor --inspect-brk is given. */
function inspection(given: ServeArguments): Pick<InspectCommand, "inspectorPort" | "waitsForPage"> | undefined {
  const port = inspectorPort(given.inspect) ?? inspectorPort(given["inspect-brk"], "inspect-brk");
  return port === undefined ? undefined : { inspectorPort: port, waitsForPage: given["inspect-brk"] !== undefined };
}

/** @throws {UsageError} for `--inspect 9000` and `--trace json`: a value of these flags follows an equals sign */
function rejectDetachedValue(given: ServeArguments, word: string): void {
  const isBare = (flag: "inspect" | "inspect-brk" | "trace"): boolean => given[flag] === serveFlags[flag].bareValue;
  const portFlag = (["inspect", "inspect-brk"] as const).find((flag) => isBare(flag) && /^\d+$/.test(word));
  const isFormat = isBare("trace") && (word === "text" || word === "json");
  const flag = portFlag ?? (isFormat ? "trace" : undefined);
  if (flag !== undefined) throw new UsageError(`write --${flag}=${word}, with an equals sign`);
}

/** @throws {UsageError} if a word that is not a file looks like a misspelled command, or like one before an app: `serve app.ts` */
function rejectMisspelledCommand(word: string, others: readonly string[]): void {
  if (!/^[A-Za-z]+$/.test(word) || isSubcommand(word) || nodeFs().existsSync(word)) return;
  const suggestion = suggest(word, [...SUBCOMMANDS, "help", "version"]);
  if (suggestion !== undefined) {
    const meant = isSubcommand(suggestion) ? suggestion : `--${suggestion}`;
    throw new UsageError(`unknown command ${JSON.stringify(word)}; did you mean ${JSON.stringify(meant)}?`);
  }
  const [app] = others;
  if (app === undefined || app.startsWith("-")) return;
  const hint = nodeFs().existsSync(app) ? `run: epoll-hello ${app}` : `the commands are ${SUBCOMMANDS.join(", ")}`;
  throw new UsageError(`there is no command ${JSON.stringify(word)}; ${hint}`);
}

/** @throws {Error} if the module does not exist */
function checkAppExists(file: string): void {
  const stats = nodeFs().statSync(file, { throwIfNoEntry: false });
  if (stats?.isFile()) return;
  if (stats?.isDirectory())
    throw new Error(`${JSON.stringify(file)} is a directory; pass a module: epoll-hello app.ts`);
  const hint = /^[A-Za-z]+$/.test(file)
    ? ", and there is no such command; to serve an app, run: epoll-hello app.ts"
    : "";
  throw new Error(`cannot find the module ${JSON.stringify(file)}${hint}`);
}

/** Whether a module has no default export, so that it runs as a program instead of being served. */
function isProgram(file: string): boolean {
  try {
    const loader = /\.[cm]?tsx?$/.test(file) ? "tsx" : "jsx";
    return !new Bun.Transpiler({ loader }).scan(nodeFs().readFileSync(file, "utf8")).exports.includes("default");
  } catch {
    return false; // importing it reports the syntax error
  }
}

function parseProgram(given: ServeArguments, file: string, rest: readonly string[]): CommandLine {
  rejectProcessFlags(given, ` ${file}`);
  const flag = SERVER_ONLY_FLAGS.find((name) => given[name] !== undefined);
  if (flag !== undefined) {
    throw new UsageError(`${file} has no default export, so it runs as a program; --${flag} applies to servers only`);
  }
  rejectConflicts(given, SERVE_CONFLICTS);
  rejectIncomplete(given, SERVE_REQUIREMENTS);
  const program: Program = [resolve(file), ...rest];
  const trace = traceOutput(given, file);
  const shared = { options: {}, app: undefined, program, trace, ...shownData(given) };
  const inspected = inspection(given);
  rejectOtherCopy(program[0]);
  if (given.step) {
    return { kind: "step", ...shared, isNumeric: given.numeric === true, inspectorPort: inspected?.inspectorPort };
  }
  if (inspected !== undefined) return { kind: "inspect", ...shared, ...inspected };
  if (trace !== undefined) return { kind: "trace-program", program, trace };
  throw new Error(
    `${file} has no default export to serve: export default { fetch(request) { return new Response("...") } }. ` +
      "To run it as a program, pass --trace, --summary, --step or --inspect.",
  );
}

/** @throws {Error} if the program imports another copy of this package, whose system calls could not be traced */
function rejectOtherCopy(program: string): void {
  const { realpathSync } = nodeFs();
  let command: string;
  try {
    const index = realpathSync(Bun.resolveSync("epoll-hello", dirname(program)));
    if (index === realpathSync(moduleFile("index"))) return;
    command = realpathSync(join(dirname(index), "../bin/epoll-hello.mjs"));
  } catch {
    return; // it imports the package by path, or not at all
  }
  throw new Error(
    `${program} imports another copy of epoll-hello, which this command cannot trace; run: bun ${command}`,
  );
}

/** Flags that only apply to a command after `--`, or to a running process. */
const PROCESS_FLAGS = ["pid", "no-follow", "all-stop"] as const;

/** @throws {UsageError} for a flag that only applies to other processes */
function rejectProcessFlags(given: ServeArguments, app: string): void {
  const flag = PROCESS_FLAGS.find((name) => isGiven(given, name));
  if (flag === "pid")
    throw new UsageError(`--pid cannot be used with${app || " a server"}: it traces a process that runs already`);
  if (flag === undefined) return;
  throw new UsageError(`--${flag} applies to other programs: epoll-hello --trace --${flag} -- COMMAND [ARGUMENTS]`);
}

/** Parses `--trace -- COMMAND ARGUMENTS` and `--trace --pid PID`, which run or attach to any program. */
function parseProcess(given: ServeArguments, command: readonly string[]): CommandLine {
  const { pid } = given;
  const subject = pid === undefined ? `the command ${JSON.stringify(command[0])}` : `--pid ${pid}`;
  const serverFlag = SERVER_ONLY_FLAGS.find((name) => given[name] !== undefined);
  if (serverFlag !== undefined)
    throw new UsageError(`--${serverFlag} applies to the server of epoll-hello, not to ${subject}`);
  if (pid !== undefined && command.length > 0)
    throw new UsageError("--pid cannot be used with a command after --: trace one or the other");
  rejectConflicts(given, SERVE_CONFLICTS);
  rejectIncomplete(given, SERVE_REQUIREMENTS);
  rejectIncomplete(given, [["all-stop", ["step", "inspect", "inspect-brk"]]]);
  const target = pid === undefined ? { command } : { pid: parseInteger("pid", pid, 1, MAX_INT32) };
  const process = { target, follows: given["no-follow"] !== true, stopsAll: given["all-stop"] === true };
  const trace = traceOutput(given, undefined);
  const shared = { options: {}, app: undefined, program: undefined, process, trace, ...shownData(given) };
  const inspected = inspection(given);
  if (given.step) {
    return { kind: "step", ...shared, isNumeric: given.numeric === true, inspectorPort: inspected?.inspectorPort };
  }
  if (inspected !== undefined) return { kind: "inspect", ...shared, ...inspected };
  if (trace !== undefined) return { kind: "trace-process", process, trace };
  const example = pid === undefined ? `-- ${command.join(" ")}` : `--pid ${pid}`;
  throw new UsageError(
    `nothing to do with ${subject}: pass --trace, --trace-file FILE, --summary, --step or --inspect, such as epoll-hello --trace ${example}`,
  );
}

function parseWhy(rawArguments: readonly string[]): CommandLine {
  const { given, positionals, rest } = parseFlags(rawArguments, whyFlags);
  if (given.help) return { kind: "help", command: "why" };
  rejectSurplus([...positionals, ...rest], 0);
  return {
    kind: "why",
    maxFds: given.max === undefined ? DEFAULT_MAX_FDS : parseInteger("max", given.max, MIN_FDS, MAX_FDS),
    svgFile: given.svg,
    isJson: given.json === true,
  };
}

function parseLesson(rawArguments: readonly string[]): CommandLine {
  const { given, positionals, rest } = parseFlags(rawArguments, lessonFlags);
  if (given.help) return { kind: "help", command: "lesson" };
  rejectSurplus([...positionals, ...rest], 1);
  return { kind: "lesson", id: positionals[0], isJson: given.json === true };
}

function parseAddons(rawArguments: readonly string[]): CommandLine {
  const { given, positionals, rest } = parseFlags(rawArguments, addonsFlags);
  if (given.help) return { kind: "help", command: "addons" };
  const directories = [...positionals, ...rest];
  rejectSurplus(directories, 1);
  const [directory = "."] = directories;
  return { kind: "addons", directory, isVerbose: given.verbose === true, isJson: given.json === true };
}

const REPLAY_CONFLICTS: Conflicts = [
  ["step", ["json", "timestamps"], "the prompt prints single events as text"],
  ["inspect", ["step"], "each of them shows the trace by itself"],
  ["inspect", ["json", "numeric", "timestamps"], "the page prints nothing"],
  ["chrome", ["step", "inspect", "json", "numeric", "timestamps"], "it converts the trace and prints nothing"],
  ["json", ["timestamps"], "JSON has the time of every event"],
  ["summary", ["json", "step", "inspect", "chrome", "timestamps", "numeric"], "it prints only the totals"],
];

function parseReplay(rawArguments: readonly string[]): CommandLine {
  const { given, positionals, rest } = parseFlags(rawArguments, replayFlags);
  if (given.help) return { kind: "help", command: "replay" };
  const files = [...positionals, ...rest];
  rejectSurplus(files, 1);
  const [file] = files;
  if (file === undefined) throw new UsageError("replay requires a trace file: epoll-hello replay FILE");
  rejectConflicts(given, REPLAY_CONFLICTS);
  if (given.step && file === "-")
    throw new UsageError("--step reads commands from standard input: pass the trace as a file");
  return {
    kind: "replay",
    file,
    isStepping: given.step === true,
    chromeFile: given.chrome,
    inspectorPort: inspectorPort(given.inspect),
    trace: {
      format: given.json ? "json" : "text",
      file: undefined,
      maxFileBytes: Infinity,
      isNumeric: given.numeric === true,
      hasTimestamps: given.timestamps === true,
      hasSummary: given.summary === true,
      showsBytes: false,
      showsSecrets: false,
      program: undefined,
    },
  };
}
