// The flags of each command, as data for the parser and for --help.

import packageJson from "../../../package.json" with { type: "json" };
import { DEFAULT_MAX_FDS, MAX_FDS, MIN_FDS } from "../comparison/limits.ts";

export const VERSION: string = packageJson.version;
export const DEFAULT_ADDRESS: { hostname: string; port: number } = { hostname: "localhost", port: 8800 };
export const MAX_WORKERS = 1024;
export const MAX_INT32 = 0x7fffffff;
export const MAX_PORT = 65_535;

interface BooleanFlag {
  type: "boolean";
  short?: string;
  description: string;
}

interface StringFlag {
  type: "string";
  /** Stands for the value in --help. */
  placeholder: string;
  /** Completes "requires a value" and "must be". */
  expects: string;
  /** The value if the flag is given without one. */
  bareValue?: string;
  description: string;
}

export type Flags = Readonly<Record<string, BooleanFlag | StringFlag>>;

/** Flags with a value, and flags without one. */
type FlagTable<WithValue extends string, WithoutValue extends string> = Readonly<
  Record<WithValue, StringFlag> & Record<WithoutValue, BooleanFlag>
>;

const PORT = `an integer from 0 to ${MAX_PORT}`;

const help: BooleanFlag = { type: "boolean", short: "h", description: "print this help" };

const inspect: Omit<StringFlag, "description"> = {
  type: "string",
  placeholder: "PORT",
  expects: PORT,
  bareValue: "0",
};

const numeric: BooleanFlag = { type: "boolean", description: "print event masks as numbers" };

export const serveFlags: FlagTable<
  "port" | "host" | "unix" | "fd" | "backlog" | "workers" | "balance" | "trace" | "trace-file" | "inspect",
  "systemd" | "classic" | "step" | "show-bytes" | "numeric" | "quiet" | "help" | "version"
> = {
  port: {
    type: "string",
    placeholder: "PORT",
    expects: PORT,
    description: `TCP port to listen on; 0: any free port (default: ${DEFAULT_ADDRESS.port})`,
  },
  host: {
    type: "string",
    placeholder: "HOST",
    expects: "a host name or an IP address",
    description: `host name or address to listen on (default: ${DEFAULT_ADDRESS.hostname}, both 127.0.0.1 and ::1)`,
  },
  unix: {
    type: "string",
    placeholder: "PATH",
    expects: "a path, or @NAME for an abstract socket",
    description: "listen on a Unix socket instead; @NAME: an abstract socket",
  },
  fd: {
    type: "string",
    placeholder: "FD",
    expects: "an fd, or several separated by commas",
    description: "use an inherited listening socket instead; several: 3,4",
  },
  systemd: {
    type: "boolean",
    description: "use the sockets passed by systemd; report readiness, status and watchdog (sd_notify)",
  },
  backlog: {
    type: "string",
    placeholder: "N",
    expects: `an integer from 1 to ${MAX_INT32}`,
    description: "maximum length of the accept queue (default: 4096)",
  },
  workers: {
    type: "string",
    placeholder: "N",
    expects: `an integer from 1 to ${MAX_WORKERS}, or "auto" for one per core`,
    description: "number of worker processes; auto: one per core",
  },
  balance: {
    type: "string",
    placeholder: "MODE",
    expects: '"reuseport" or "shared"',
    description:
      "how connections are distributed to workers: reuseport (one accept queue per worker, the default) or shared (one queue)",
  },
  classic: {
    type: "boolean",
    description: "behave like the original server: no keep-alive, one system call per event",
  },
  trace: {
    type: "string",
    placeholder: "FORMAT",
    expects: '"text" or "json"',
    bareValue: "text",
    description: "print every system call of the loop; --trace=json: as JSON (default: text)",
  },
  "trace-file": {
    type: "string",
    placeholder: "FILE",
    expects: "a file to write to",
    description: "save the trace, for epoll-hello replay",
  },
  step: {
    type: "boolean",
    description: "step through the loop, like pdb (implies --classic; --no-classic turns it off)",
  },
  inspect: {
    ...inspect,
    description: "show the running loop on a page on 127.0.0.1; --inspect=PORT (default: a free port)",
  },
  "show-bytes": { type: "boolean", description: "include received and sent data in the trace" },
  numeric,
  quiet: { type: "boolean", description: "print only warnings and errors" },
  help,
  version: { type: "boolean", short: "v", description: "print the version" },
};

export const whyFlags: FlagTable<"max" | "svg", "json" | "help"> = {
  max: {
    type: "string",
    placeholder: "N",
    expects: `an integer from ${MIN_FDS} to ${MAX_FDS}`,
    description: `largest number of file descriptors (default: ${DEFAULT_MAX_FDS})`,
  },
  svg: {
    type: "string",
    placeholder: "FILE",
    expects: "a file to write to",
    description: "also write the chart as an SVG image",
  },
  json: { type: "boolean", description: "print the measurements as JSON" },
  help,
};

export const replayFlags: FlagTable<"inspect", "json" | "step" | "numeric" | "help"> = {
  json: { type: "boolean", description: "print the events as JSON, one per line" },
  step: { type: "boolean", description: "step through the trace, like --step does through a server" },
  inspect: { ...inspect, description: "show the trace on a page on 127.0.0.1; --inspect=PORT (default: a free port)" },
  numeric,
  help,
};

export const lessonFlags: FlagTable<never, "json" | "help"> = {
  json: { type: "boolean", description: "print the result as JSON" },
  help,
};
