// The command line: what may be written, and what it means for the server. What is wrong with it is a UsageError.

import { availableParallelism } from "node:os";
import { stripVTControlCharacters } from "node:util";
import { type ArgsDef, type CommandMeta, defineCommand, parseArgs, renderUsage } from "citty";
import packageJson from "../../package.json" with { type: "json" };
import { type EpollServerOptions, listenFds } from "../index.ts";
import { DEFAULT_MOST, FEWEST, MOST } from "../why/measure.ts";
import type { Balance } from "../workers/place.ts";

export const version: string = packageJson.version;
export const DEFAULT_PORT = 8800;

/** The command line is wrong: exit 2. The message says what to write instead. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** Without a word, it serves. */
export type Command = "serve" | "why" | "replay" | "lesson";

/** What the command line asks for. */
export type Request =
  | { kind: "help"; of: Command }
  | { kind: "version" }
  | ServeRequest
  | { kind: "why"; options: WhyOptions }
  | { kind: "step"; options: EpollServerOptions; isNumeric: boolean; hasBytes: boolean; page: number | undefined }
  | { kind: "inspect"; options: EpollServerOptions; hasBytes: boolean; page: number }
  | { kind: "replay"; file: string; steps: boolean; page: number | undefined; trace: TraceRequest }
  | { kind: "lesson"; id: string | undefined; isJson: boolean };

/** Serve, and how to speak of it. */
export interface ServeRequest {
  kind: "serve";
  options: EpollServerOptions;
  isQuiet: boolean;
  isService: boolean;
  team: Team | undefined;
  trace: TraceRequest | undefined;
}

/** What is to be told of the loop, and where. */
export interface TraceRequest {
  /** On standard output; undefined: not there. */
  format: "text" | "json" | undefined;
  file: string | undefined;
  isNumeric: boolean;
  hasBytes: boolean;
}

/** What `epoll-hello why` is asked for. */
export interface WhyOptions {
  /** How many descriptors at most. */
  max: number;
  /** Where the picture goes. */
  svg: string | undefined;
  isJson: boolean;
}

/** Several processes that serve in one place. */
export interface Team {
  workers: number;
  balance: Balance;
}

const MOST_WORKERS = 1024;

const traceFlags = {
  numeric: { type: "boolean", description: "there: masks as numbers, as the document has them" },
  "show-bytes": { type: "boolean", description: "there: what is received and sent, too" },
} as const satisfies ArgsDef;

const flags = {
  port: { type: "string", valueHint: "PORT", description: `TCP port to listen on (${DEFAULT_PORT}); 0: any free one` },
  host: {
    type: "string",
    valueHint: "HOST",
    description: "name or address to listen on (localhost: 127.0.0.1 and ::1)",
  },
  unix: { type: "string", valueHint: "PATH", description: "listen on a unix socket instead; @NAME: an abstract one" },
  fd: { type: "string", valueHint: "N", description: "serve on a socket that listens already; several: 3,4" },
  systemd: { type: "boolean", description: "serve on the sockets that systemd passes, and tell it how it goes" },
  workers: { type: "string", valueHint: "N", description: "serve with N processes; auto: one for each core" },
  balance: {
    type: "string",
    valueHint: "HOW",
    description: "how connections come to workers: reuseport, a queue for each, or shared, one for all",
  },
  classic: { type: "boolean", description: "the document's loop to the letter: no keep-alive, one call per event" },
  backlog: { type: "string", valueHint: "N", description: "connections that may wait to be accepted (4096)" },
  trace: {
    type: "string",
    valueHint: "text|json",
    description: "print what the loop does, a line for each system call (--trace alone: text)",
  },
  step: {
    type: "boolean",
    description: "stop behind each step of the loop (--classic unless --no-classic), as pdb does",
  },
  inspect: {
    type: "string",
    valueHint: "PORT",
    description: "show the loop in a page on 127.0.0.1 while it runs (--inspect alone: any free port)",
  },
  ...traceFlags,
  "trace-file": { type: "string", valueHint: "FILE", description: "save what the loop does, for epoll-hello replay" },
  quiet: { type: "boolean", description: "print warnings and errors only" },
  help: { type: "boolean", alias: "h", description: "print this and exit" },
  version: { type: "boolean", alias: "v", description: "print the version and exit" },
} as const satisfies ArgsDef;

const whyFlags = {
  max: { type: "string", valueHint: "N", description: `how many descriptors at most (${DEFAULT_MOST})` },
  svg: { type: "string", valueHint: "FILE", description: "write the chart as a picture, too" },
  json: { type: "boolean", description: "print the figures as JSON and nothing else" },
  help: { type: "boolean", alias: "h", description: "print this and exit" },
} as const satisfies ArgsDef;

const replayFlags = {
  file: { type: "positional", required: false, valueHint: "FILE", description: "a trace that --trace-file has saved" },
  json: { type: "boolean", description: "print the events as JSON, a line each" },
  step: { type: "boolean", description: "step through it, as --step does through a server" },
  inspect: {
    type: "string",
    valueHint: "PORT",
    description: "show it in a page on 127.0.0.1 (--inspect alone: any free port)",
  },
  numeric: traceFlags.numeric,
  help: { type: "boolean", alias: "h", description: "print this and exit" },
} as const satisfies ArgsDef;

const lessonFlags = {
  name: { type: "positional", required: false, valueHint: "NAME", description: "which one; without: list them" },
  json: { type: "boolean", description: "print what happened as JSON, a line" },
  help: { type: "boolean", alias: "h", description: "print this and exit" },
} as const satisfies ArgsDef;

const meta: CommandMeta = { name: "epoll-hello", version, description: "A web server on one Linux epoll loop" };

const why = defineCommand({
  meta: { name: "why", description: "Time select, poll and epoll_wait here, with one active descriptor among many" },
  args: whyFlags,
});

const replay = defineCommand({
  meta: { name: "replay", description: "Print a trace that --trace-file has saved" },
  args: replayFlags,
});

const lesson = defineCommand({
  meta: { name: "lesson", description: "Run a lesson on real sockets: the kernel answers" },
  args: lessonFlags,
});

/** For the text of `--help` only: citty, told to run it, would run the server and the subcommand both. */
const command = defineCommand({
  meta,
  args: flags,
  subCommands: { why, replay, lesson },
});

/** The text of `--help`, in colour only where colour is welcome. */
export async function usage(of: Command): Promise<string> {
  const texts = {
    serve: () => renderUsage(command),
    why: () => renderUsage(why, { meta }),
    replay: () => renderUsage(replay, { meta }),
    lesson: () => renderUsage(lesson, { meta }),
  };
  const text = await texts[of]();
  const inOrder = text.replace("[OPTIONS] why|replay|lesson", "[why|replay|lesson] [OPTIONS]"); // citty has it that a subcommand must be, and comes last
  return hasColour(process.stdout) ? inOrder : stripVTControlCharacters(inOrder);
}

export function hasColour(stream: { isTTY: boolean }): boolean {
  return stream.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

/** Flags that take a value, and mean something without one. */
const alone: Record<string, string> = { "--trace": "--trace=text", "--inspect": "--inspect=0" };

/** @throws {UsageError} */
export function readArguments(rawArguments: string[]): Request {
  if (rawArguments[0] === "why") return readWhy(rawArguments.slice(1));
  if (rawArguments[0] === "replay") return readReplay(rawArguments.slice(1));
  if (rawArguments[0] === "lesson") return readLesson(rawArguments.slice(1));
  rawArguments = rawArguments.map((argument) => alone[argument] ?? argument);
  const given = parseArgs<typeof flags>(rawArguments, flags);
  if (given.help) return { kind: "help", of: "serve" };
  if (given.version) return { kind: "version" };
  refuseUnknown(rawArguments, given, flags, "--port 8800");
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
  if (steps) return stepOf(given, options);
  if (given.inspect !== undefined) return inspectOf(given, given.inspect, options);
  const trace = traceOf(given);
  if (team !== undefined && trace !== undefined) throw new UsageError("a trace is of one process: leave out --workers");
  return { kind: "serve", options, isQuiet: given.quiet === true, isService: given.systemd === true, team, trace };
}

function stepOf(
  given: { numeric?: boolean | undefined; "show-bytes"?: boolean | undefined } & Record<string, unknown>,
  options: EpollServerOptions,
): Request {
  const clash = ["workers", "balance", "trace", "trace-file", "systemd", "quiet"].find(
    (name) => given[name] !== undefined && given[name] !== false,
  );
  if (clash !== undefined) throw new UsageError(`--step does not go with --${clash}: give one or the other`);
  const page = given["inspect"] === undefined ? undefined : pageOf(String(given["inspect"]));
  return { kind: "step", options, isNumeric: given.numeric === true, hasBytes: given["show-bytes"] === true, page };
}

function inspectOf(given: Record<string, unknown>, port: string, options: EpollServerOptions): Request {
  const clash = ["workers", "balance", "trace", "trace-file", "systemd", "numeric"].find(
    (name) => given[name] !== undefined && given[name] !== false,
  );
  if (clash !== undefined) throw new UsageError(`--inspect does not go with --${clash}: give one or the other`);
  return { kind: "inspect", options, hasBytes: given["show-bytes"] === true, page: pageOf(port) };
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
function teamOf(workers: string | undefined, balance: string | undefined, place: string | undefined): Team | undefined {
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

function readWhy(rawArguments: string[]): Request {
  const given = parseArgs(rawArguments, whyFlags);
  if (given.help) return { kind: "help", of: "why" };
  refuseUnknown(rawArguments, given, whyFlags, "--max 1000");
  return {
    kind: "why",
    options: {
      max: given.max === undefined ? DEFAULT_MOST : wholeNumber("--max", given.max, FEWEST, MOST),
      svg: given.svg === undefined ? undefined : nonEmpty("--svg", given.svg),
      isJson: given.json === true,
    },
  };
}

function readLesson(rawArguments: string[]): Request {
  const given = parseArgs<typeof lessonFlags>(rawArguments, lessonFlags);
  if (given.help) return { kind: "help", of: "lesson" };
  const [id, ...more] = given._;
  refuseUnknown(rawArguments, { ...given, _: more }, lessonFlags, "lesson hello --json");
  return { kind: "lesson", id, isJson: given.json === true };
}

function readReplay(rawArguments: string[]): Request {
  rawArguments = rawArguments.map((argument) => alone[argument] ?? argument);
  const given = parseArgs<typeof replayFlags>(rawArguments, replayFlags);
  if (given.help) return { kind: "help", of: "replay" };
  const [file, ...more] = given._;
  refuseUnknown(rawArguments, { ...given, _: more }, replayFlags, "replay FILE --numeric");
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

/** citty lets through what it does not know; someone who mistyped a flag wants to hear of it. */
function refuseUnknown(
  rawArguments: readonly string[],
  given: { _: string[] },
  flags: Record<string, { type: string; alias?: string }>,
  example: string,
): void {
  const known = new Map(Object.entries(flags));
  const aliases = new Set(Object.values(flags).map(({ alias }) => alias));
  for (const name of Object.keys(given)) {
    const dashed = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`); // citty gives traceFile, too
    if (name === "_" || aliases.has(name) || known.has(name) || known.has(dashed)) continue;
    const written = rawArguments.includes(`--no-${name}`) ? `no-${name}` : name;
    throw new UsageError(`unknown flag ${name.length === 1 ? "-" : "--"}${written}`);
  }
  for (const [name, { type }] of known) {
    if (type === "boolean" && rawArguments.some((argument) => argument.startsWith(`--${name}=`))) {
      throw new UsageError(`--${name} takes no value`);
    }
    const value = (given as Record<string, unknown>)[name];
    if (type === "string" && typeof value === "string" && value.startsWith("--")) {
      throw new UsageError(`--${name} needs a value, and ${value} is a flag`);
    }
  }
  const [word] = given._;
  if (word !== undefined && /^(?:why|replay|lesson)$/.test(word))
    throw new UsageError(`${word} comes first: epoll-hello ${word}`);
  if (word !== undefined) {
    throw new UsageError(`${JSON.stringify(word)} is not an argument: flags start with --, as in ${example}`);
  }
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  const got = text === "" ? "nothing" : JSON.stringify(text);
  throw new UsageError(`${flag} takes a whole number from ${least} to ${most}, not ${got}`);
}

function nonEmpty(flag: string, text: string): string {
  if (text === "" || text.includes("\0")) throw new UsageError(`${flag} needs a value`);
  return text;
}
