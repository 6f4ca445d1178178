// The arguments and flags of each command, in the form of citty's definitions: for the parser and for --help.

import type { BooleanArgDef, PositionalArgDef, StringArgDef } from "citty";
import packageJson from "../../../package.json" with { type: "json" };
import { DEFAULT_MAX_FDS, MAX_FDS, MIN_FDS } from "../comparison/limits.ts";

export const VERSION: string = packageJson.version;
export const DEFAULT_ADDRESS: { hostname: string; port: number } = { hostname: "localhost", port: 8800 };
export const MAX_WORKERS = 1024;
/** In seconds: a day. */
export const MAX_WORKER_TIMEOUT = 86_400;
export const MAX_INT32 = 0x7fffffff;
export const MAX_PORT = 65_535;
/** In bytes. A trace of this size has some 500,000 events, and opens in the inspector. */
export const DEFAULT_TRACE_MAX: number = 64 * 1024 * 1024;
/** The least that the limit can be: several times what is buffered. */
export const MIN_TRACE_MAX: number = 256 * 1024;

interface Positional extends PositionalArgDef {
  type: "positional";
}

interface BooleanFlag extends BooleanArgDef {
  type: "boolean";
}

interface StringFlag extends StringArgDef {
  type: "string";
  /** Completes "requires a value" and "must be" in error messages. */
  expects: string;
  /** The value of the flag if it is given without one. */
  bareValue?: string;
}

export type Flags = Readonly<Record<string, Positional | BooleanFlag | StringFlag>>;

/** Positional arguments, flags with a value, and flags without one. */
type FlagTable<Argument extends string, WithValue extends string, WithoutValue extends string> = Readonly<
  Record<Argument, Positional> & Record<WithValue, StringFlag> & Record<WithoutValue, BooleanFlag>
>;

/** The value of --proxy-protocol without one. */
export const ANY_PROXY = "any";
const PORT = `an integer from 0 to ${MAX_PORT}`;

const help: BooleanFlag = { type: "boolean", alias: "h", description: "print this help" };

const inspect: StringFlag = { type: "string", valueHint: "PORT", expects: PORT, bareValue: "0" };

const timestamps: BooleanFlag = {
  type: "boolean",
  description: "begin each line of the trace with the time since the previous one",
};

const numeric: BooleanFlag = { type: "boolean", description: "print event masks as numbers" };

// --help has 76 columns for the description of a flag.

export const serveFlags: FlagTable<
  "app",
  | "port"
  | "host"
  | "unix"
  | "fd"
  | "backlog"
  | "workers"
  | "balance"
  | "worker-timeout"
  | "tls-cert"
  | "tls-key"
  | "proxy-protocol"
  | "health"
  | "metrics"
  | "trace"
  | "trace-file"
  | "trace-max"
  | "inspect"
  | "inspect-brk"
  | "pid",
  | "systemd"
  | "summary"
  | "no-follow"
  | "all-stop"
  | "classic"
  | "step"
  | "show-bytes"
  | "show-secrets"
  | "timestamps"
  | "numeric"
  | "quiet"
  | "help"
  | "version"
> = {
  app: {
    type: "positional",
    required: false,
    description: "module whose default export is served, or a program to trace, step or inspect",
  },
  port: {
    type: "string",
    valueHint: "PORT",
    expects: PORT,
    description: `TCP port to listen on; 0: any free port (default: ${DEFAULT_ADDRESS.port})`,
  },
  host: {
    type: "string",
    valueHint: "HOST",
    expects: "a host name or an IP address",
    description: `name or address to listen on (default: ${DEFAULT_ADDRESS.hostname}: 127.0.0.1 and ::1)`,
  },
  unix: {
    type: "string",
    valueHint: "PATH",
    expects: "a path, or @NAME for an abstract socket",
    description: "listen on a unix socket instead; @NAME: an abstract socket",
  },
  fd: {
    type: "string",
    valueHint: "FD",
    expects: "an fd, or several separated by commas",
    description: "use an inherited listening socket instead; several: 3,4",
  },
  systemd: {
    type: "boolean",
    description: "use sockets passed by systemd; report readiness and status (sd_notify)",
  },
  backlog: {
    type: "string",
    valueHint: "N",
    expects: `an integer from 1 to ${MAX_INT32}`,
    description: "maximum length of the accept queue (default: 4096)",
  },
  workers: {
    type: "string",
    valueHint: "N",
    expects: `an integer from 1 to ${MAX_WORKERS}, or "auto" for one per core`,
    description: "number of worker processes; auto: one per core",
  },
  balance: {
    type: "string",
    valueHint: "MODE",
    expects: '"reuseport" or "shared"',
    description: "reuseport: one accept queue per worker (default); shared: one for all",
  },
  "worker-timeout": {
    type: "string",
    valueHint: "S",
    expects: `an integer from 0 to ${MAX_WORKER_TIMEOUT}`,
    description: "replace a worker that does not respond for S seconds; 0: never (default: 30)",
  },
  "tls-cert": {
    type: "string",
    valueHint: "FILE",
    expects: "a file with a certificate in the PEM format",
    description: "serve https with this certificate, followed by its intermediate certificates",
  },
  "tls-key": {
    type: "string",
    valueHint: "FILE",
    expects: "a file with a private key in the PEM format",
    description: "the private key of the certificate",
  },
  "proxy-protocol": {
    type: "string",
    valueHint: "A",
    expects: "addresses or networks, separated by commas",
    bareValue: ANY_PROXY,
    description: "the proxies at addresses A send the client's address; alone: everyone is one",
  },
  health: {
    type: "string",
    valueHint: "PATH",
    expects: 'a path such as "/healthz"',
    description: "respond with 200 to requests for this path, and 503 while stopping",
  },
  metrics: {
    type: "string",
    valueHint: "PATH",
    expects: 'a path such as "/metrics"',
    description: "serve metrics for Prometheus at this path",
  },
  classic: {
    type: "boolean",
    description: "serve like the original in Python: no keep-alive, one system call per event",
  },
  quiet: { type: "boolean", description: "print only warnings and errors" },
  trace: {
    type: "string",
    valueHint: "text|json",
    expects: '"text" or "json"',
    bareValue: "text",
    description: "print every system call of the loop (--trace alone: as text)",
  },
  "trace-file": {
    type: "string",
    valueHint: "FILE",
    expects: "a file to write to",
    description: "save the trace, for epoll-hello replay",
  },
  "trace-max": {
    type: "string",
    valueHint: "SIZE",
    expects: "a size from 256K, such as 64M or 2G, or 0 for no limit",
    description: "size limit of the trace file: its newest events are kept (default: 64M)",
  },
  summary: {
    type: "boolean",
    description: "print totals at the end, by system call and by fd, like strace -c",
  },
  pid: {
    type: "string",
    valueHint: "PID",
    expects: "the id of a running process",
    description: "trace, step or inspect a running process, instead of a command after --",
  },
  "no-follow": { type: "boolean", description: "don't trace the threads and processes that the program creates" },
  "all-stop": { type: "boolean", description: "with --step or --inspect: a pause stops all threads, not only one" },
  step: {
    type: "boolean",
    description: "step through the loop, like pdb (implies --classic unless --no-classic)",
  },
  inspect: {
    ...inspect,
    description: "show the loop in a browser, on 127.0.0.1 (--inspect alone: a free port)",
  },
  "inspect-brk": { ...inspect, description: "the same, but pause at the start until the page continues" },
  "show-bytes": { type: "boolean", description: "include received and sent data in the trace" },
  "show-secrets": { type: "boolean", description: "don't redact credentials, such as Authorization and ?token=" },
  timestamps,
  numeric,
  help,
  version: { type: "boolean", alias: "v", description: "print the version" },
};

export const whyFlags: FlagTable<never, "max" | "svg", "json" | "help"> = {
  max: {
    type: "string",
    valueHint: "N",
    expects: `an integer from ${MIN_FDS} to ${MAX_FDS}`,
    description: `largest number of file descriptors (default: ${DEFAULT_MAX_FDS})`,
  },
  svg: {
    type: "string",
    valueHint: "FILE",
    expects: "a file to write to",
    description: "also write the chart as an SVG image",
  },
  json: { type: "boolean", description: "print the measurements as JSON" },
  help,
};

export const replayFlags: FlagTable<
  "file",
  "inspect" | "chrome",
  "json" | "summary" | "step" | "timestamps" | "numeric" | "help"
> = {
  file: { type: "positional", required: false, description: "the trace; -: standard input" },
  json: { type: "boolean", description: "print the events as JSON, one per line" },
  summary: { type: "boolean", description: "print only the totals, like strace -c" },
  step: { type: "boolean", description: "step through the trace, like --step does through a server" },
  chrome: {
    type: "string",
    valueHint: "FILE",
    expects: "a file to write to",
    description: "convert the trace for Perfetto and chrome://tracing",
  },
  inspect: { ...inspect, description: "show the trace in a browser, on 127.0.0.1 (--inspect alone: a free port)" },
  timestamps,
  numeric,
  help,
};

export const lessonFlags: FlagTable<"name", never, "json" | "help"> = {
  name: { type: "positional", required: false, description: "the lesson to run; without it, the lessons are listed" },
  json: { type: "boolean", description: "print the result as JSON" },
  help,
};

export const addonsFlags: FlagTable<"dir", never, "json" | "verbose" | "help"> = {
  dir: { type: "positional", required: false, description: "directory of the project (default: the current one)" },
  verbose: { type: "boolean", description: "list the file and the libuv functions of each addon" },
  json: { type: "boolean", description: "print the report as JSON" },
  help,
};
