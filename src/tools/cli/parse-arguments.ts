// The command line: what may be written, and what it means for the server. What is wrong with it is a UsageError.

import { readFileSync, realpathSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "citty";
import { type EpollServerOptions, listenFds } from "../../index.ts";
import { DEFAULT_MAX_FDS, MIN_FDS, MAX_FDS } from "../comparison/limits.ts";
import { nonEmpty, rejectUnknown, wholeNumber } from "./validate.ts";
import { DEFAULT_PORT, flags, lessonFlags, replayFlags, whyFlags } from "./flags.ts";
import {
  type App,
  isSubcommand,
  type Program,
  type CommandLine,
  type WorkerOptions,
  type TraceRequest,
  UsageError,
} from "./command-line.ts";

const MOST_WORKERS = 1024;

/** Flags that take a value, and mean something without one. */
const alone: Record<string, string> = { "--trace": "--trace=text", "--inspect": "--inspect=0" };

/** @throws {UsageError} */
export function parseArguments(rawArguments: string[]): CommandLine {
  if (rawArguments[0] === "why") return readWhy(rawArguments.slice(1));
  if (rawArguments[0] === "replay") return readReplay(rawArguments.slice(1));
  if (rawArguments[0] === "lesson") return readLesson(rawArguments.slice(1));
  const cut = rawArguments.includes("--") ? rawArguments.indexOf("--") : rawArguments.length;
  const rest = rawArguments.slice(cut + 1);
  rawArguments = rawArguments.slice(0, cut).map((argument) => alone[argument] ?? argument);
  const given = parseArgs<typeof flags>(rawArguments, flags);
  if (given.help) return { kind: "help", of: "serve" };
  if (given.version) return { kind: "version" };
  const [app, ...more] = given._;
  rejectUnknown(rawArguments, { ...given, _: isSubcommand(app) ? given._ : more }, flags, "app.ts --port 8800");
  if (app !== undefined) checkApp(app);
  if (app !== undefined && isProgram(app)) return programOf(given, [resolve(app), ...rest]);
  if (rest.length > 0) throw new UsageError("what follows -- is for a program: epoll-hello --trace program.ts -- 8801");
  const { port, host, unix, backlog, fd } = given;
  const places = Object.entries({ unix, fd, systemd: given.systemd || undefined }).filter(
    ([, value]) => value !== undefined,
  );
  const clash = [...places.slice(1), ...Object.entries({ port, host, backlog })].find(
    ([, value]) => value !== undefined,
  );
  if (places.length > 0 && clash !== undefined && !(clash[0] === "backlog" && unix !== undefined)) {
    throw new UsageError(`--${places[0]?.[0]} does not go with --${clash[0]}: give one or the other`);
  }
  const steps = given.step === true;
  const options: EpollServerOptions = (given.classic ?? steps) ? { keepAlive: false, eager: false } : {};
  if (backlog !== undefined) options.backlog = wholeNumber("--backlog", backlog, 1, 0x7fffffff);
  if (given.systemd) {
    options.fd = passed();
  } else if (fd !== undefined) {
    options.fd = String(fd)
      .split(",")
      .map((number) => wholeNumber("--fd", number, 0, 0x7fffffff));
  } else if (unix === undefined) {
    options.port = port === undefined ? DEFAULT_PORT : wholeNumber("--port", port, 0, 65535);
    options.hostname = nonEmpty("--host", host ?? "localhost");
  } else {
    options.unix = nonEmpty("--unix", unix).replace(/^@/, "\0");
  }
  const team = teamOf(given.workers, given.balance, places[0]?.[0]);
  if (steps) return stepOf(given, options, app);
  if (given.inspect !== undefined) return inspectOf(given, given.inspect, options, app);
  const trace = traceOf(given);
  if (team !== undefined && trace !== undefined) throw new UsageError("a trace is of one process: leave out --workers");
  return { kind: "serve", options, app, isQuiet: given.quiet === true, isService: given.systemd === true, team, trace };
}

/** What a worker serves: the supervisor has checked the rest. */
export function appOf(rawArguments: string[]): App {
  return parseArgs<typeof flags>(rawArguments, flags)._[0];
}

/** @throws {UsageError} if there is no such file */
function checkApp(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === true) return;
  throw new UsageError(
    `there is no file ${JSON.stringify(file)} to serve: give a module, as in app.ts; flags start with --, as in --port 8800`,
  );
}

/** It exports nothing by default: there is nothing to serve, and it does as it likes. */
function isProgram(file: string): boolean {
  try {
    const loader = /\.[cm]?tsx?$/.test(file) ? "tsx" : "jsx";
    return !new Bun.Transpiler({ loader }).scan(readFileSync(file, "utf8")).exports.includes("default");
  } catch {
    return false; // who loads it says what is wrong with it
  }
}

/** The command of the package that the program imports, if it is not this one. */
function otherCopy(program: string): string | undefined {
  const command = (index: string): string => realpathSync(join(dirname(index), "tools", "cli", "main.ts"));
  try {
    const theirs = command(Bun.resolveSync("epoll-hello", dirname(program)));
    return theirs === command(join(import.meta.dir, "../../index.ts")) ? undefined : theirs;
  } catch {
    return undefined; // it imports it by a path, or by nothing that is known here
  }
}

function programOf(given: Record<string, unknown>, program: Program): CommandLine {
  const [app = ""] = given["_"] as string[];
  const clash = ["port", "host", "unix", "fd", "systemd", "workers", "balance", "classic", "backlog", "quiet"].find(
    (name) => given[name] !== undefined,
  );
  if (clash !== undefined) {
    throw new UsageError(`${app} exports nothing by default that could be served: --${clash} has nothing to say to it`);
  }
  const other = otherCopy(program[0]);
  if (other !== undefined) {
    throw new UsageError(
      `${app} uses another copy of epoll-hello than this command's, and nothing of it would be seen: run that one, bun ${other}`,
    );
  }
  if (given["step"] === true) return stepOf(given, {}, undefined, program);
  if (given["inspect"] !== undefined) return inspectOf(given, String(given["inspect"]), {}, undefined, program);
  const trace = traceOf(given);
  if (trace !== undefined) return { kind: "program", program, trace };
  throw new UsageError(
    `${app} has nothing to serve: export default { fetch(request) { return new Response("...") } }. ` +
      "What a program of its own does is shown by --trace, --step and --inspect.",
  );
}

function stepOf(
  given: { numeric?: boolean | undefined; "show-bytes"?: boolean | undefined } & Record<string, unknown>,
  options: EpollServerOptions,
  app: App,
  program?: Program,
): CommandLine {
  const clash = ["workers", "balance", "trace", "trace-file", "systemd", "quiet"].find(
    (name) => given[name] !== undefined && given[name] !== false,
  );
  if (clash !== undefined) throw new UsageError(`--step does not go with --${clash}: give one or the other`);
  const page = given["inspect"] === undefined ? undefined : pageOf(String(given["inspect"]));
  return {
    kind: "step",
    options,
    app,
    program,
    isNumeric: given.numeric === true,
    hasBytes: given["show-bytes"] === true,
    page,
  };
}

function inspectOf(
  given: Record<string, unknown>,
  port: string,
  options: EpollServerOptions,
  app: App,
  program?: Program,
): CommandLine {
  const clash = ["workers", "balance", "trace", "trace-file", "systemd", "numeric"].find(
    (name) => given[name] !== undefined && given[name] !== false,
  );
  if (clash !== undefined) throw new UsageError(`--inspect does not go with --${clash}: give one or the other`);
  return { kind: "inspect", options, app, program, hasBytes: given["show-bytes"] === true, page: pageOf(port) };
}

function pageOf(port: string): number {
  return wholeNumber("--inspect", port, 0, 65535);
}

function traceOf(given: {
  trace?: string | undefined;
  "trace-file"?: string | undefined;
  numeric?: boolean | undefined;
  "show-bytes"?: boolean | undefined;
}): TraceRequest | undefined {
  const { trace, "trace-file": file } = given;
  if (trace !== undefined && trace !== "text" && trace !== "json") {
    throw new UsageError(`--trace takes text or json, not ${trace === "" ? "nothing" : JSON.stringify(trace)}`);
  }
  const isNumeric = given.numeric === true;
  const hasBytes = given["show-bytes"] === true;
  if (trace === undefined && file === undefined) {
    const alone = isNumeric ? "--numeric" : hasBytes ? "--show-bytes" : undefined;
    if (alone !== undefined) throw new UsageError(`${alone} is for a trace: give --trace or --step, too`);
    return undefined;
  }
  return { format: trace, file: file === undefined ? undefined : nonEmpty("--trace-file", file), isNumeric, hasBytes };
}

/** @param place the flag of a place that is no port of our own */
function teamOf(
  workers: string | undefined,
  balance: string | undefined,
  place: string | undefined,
): WorkerOptions | undefined {
  if (balance !== undefined && balance !== "shared" && balance !== "reuseport") {
    throw new UsageError(
      `--balance takes shared or reuseport, not ${balance === "" ? "nothing" : JSON.stringify(balance)}`,
    );
  }
  if (workers === undefined) {
    if (balance === undefined) return undefined;
    throw new UsageError("--balance is for several processes: give --workers N, too");
  }
  if (balance === "reuseport" && place !== undefined) {
    throw new UsageError(
      `--balance reuseport does not go with --${place}: only ports that are opened here have several queues`,
    );
  }
  return {
    workers: workers === "auto" ? Math.min(availableParallelism(), MOST_WORKERS) : workerCount(workers),
    balance: balance ?? (place === undefined ? "reuseport" : "shared"),
  };
}

function workerCount(text: string): number {
  try {
    return wholeNumber("--workers", text, 1, MOST_WORKERS);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}; or auto, one for each core`);
  }
}

function readWhy(rawArguments: string[]): CommandLine {
  const given = parseArgs(rawArguments, whyFlags);
  if (given.help) return { kind: "help", of: "why" };
  rejectUnknown(rawArguments, given, whyFlags, "--max 1000");
  return {
    kind: "why",
    options: {
      max: given.max === undefined ? DEFAULT_MAX_FDS : wholeNumber("--max", given.max, MIN_FDS, MAX_FDS),
      svg: given.svg === undefined ? undefined : nonEmpty("--svg", given.svg),
      isJson: given.json === true,
    },
  };
}

function readLesson(rawArguments: string[]): CommandLine {
  const given = parseArgs<typeof lessonFlags>(rawArguments, lessonFlags);
  if (given.help) return { kind: "help", of: "lesson" };
  const [id, ...more] = given._;
  rejectUnknown(rawArguments, { ...given, _: more }, lessonFlags, "lesson hello --json");
  return { kind: "lesson", id, isJson: given.json === true };
}

function readReplay(rawArguments: string[]): CommandLine {
  rawArguments = rawArguments.map((argument) => alone[argument] ?? argument);
  const given = parseArgs<typeof replayFlags>(rawArguments, replayFlags);
  if (given.help) return { kind: "help", of: "replay" };
  const [file, ...more] = given._;
  rejectUnknown(rawArguments, { ...given, _: more }, replayFlags, "replay FILE --numeric");
  if (file === undefined) throw new UsageError("replay needs the file of a trace: epoll-hello replay FILE");
  const format = given.json === true ? "json" : "text";
  const steps = given.step === true;
  if (steps && format === "json") throw new UsageError("--step does not go with --json: give one or the other");
  const trace: TraceRequest = { format, file: undefined, isNumeric: given.numeric === true, hasBytes: false };
  const page = given.inspect === undefined ? undefined : pageOf(given.inspect);
  const clash = steps ? "step" : given.json === true ? "json" : given.numeric === true ? "numeric" : undefined;
  if (page !== undefined && clash !== undefined) {
    throw new UsageError(`--inspect does not go with --${clash}: give one or the other`);
  }
  return { kind: "replay", file, steps, page, trace };
}

function passed(): number[] {
  const fds = listenFds().map(({ fd }) => fd);
  if (fds.length > 0) return fds;
  throw new UsageError(
    "--systemd: no socket was passed. Start it by a socket unit, or try: systemd-socket-activate -l 8800 epoll-hello --systemd",
  );
}
