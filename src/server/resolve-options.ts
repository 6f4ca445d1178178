// Validation of EpollServer's options, and their defaults: a table with one row per option.

import { totalmem } from "node:os";
import { SOMAXCONN } from "../kernel/constants.ts";
import { incompatibleOptions, invalidType, invalidValue, outOfRange, unknownOptions } from "../kernel/errors.ts";
import { toFd } from "../kernel/fd.ts";
import { suggest } from "../kernel/suggest.ts";
import type { StaticResponse } from "../protocols/http/static-response.ts";
import type { TlsSettings } from "../protocols/tls/tls-settings.ts";
import {
  loadMonitoring,
  loadProxiedProtocol,
  loadSocketProtocol,
  loadTlsProtocol,
  loadWebSocketOptions,
} from "./optional-protocols.ts";
import type { EpollServerOptions } from "./options.ts";

/** The options without a default: undefined means that they are not used. */
type OptionalName =
  | "unix"
  | "fetch"
  | "socket"
  | "websocket"
  | "onError"
  | "health"
  | "metrics"
  | "onRequest"
  | "onWarning"
  | "onStopping"
  | "heartbeat"
  | "trace";

type PlainName = Exclude<keyof EpollServerOptions, OptionalName | "fd" | "response" | "tls">;

/** The options after validation, with all defaults filled in. */
export type ResolvedOptions = { [Name in OptionalName]: EpollServerOptions[Name] } & {
  [Name in PlainName]: Exclude<EpollServerOptions[Name], undefined>;
} & { fd: readonly number[] | undefined; response: StaticResponse; tls: TlsSettings | undefined };

/** Throws if the value of an option is wrong. */
type Check = (name: string, value: unknown) => void;

const MAX_INT32 = 0x7fffffff;

/** Returns a quarter of the memory that is available to the process: the machine's, or what its cgroup limits it to. */
function quarterOfMemory(): number {
  const limit = process.constrainedMemory();
  return Math.floor(Math.min(totalmem(), limit > 0 ? limit : Infinity) / 4);
}

const HELLO: StaticResponse = { headers: { "Content-Type": "text/plain" }, body: "Hello from Epoll server!" };

/** Each option: its default, and its check. Undefined is not checked: it stands for the default. */
const OPTIONS: { [Name in keyof EpollServerOptions]-?: [defaultValue: ResolvedOptions[Name], check: Check] } = {
  hostname: ["localhost", hostname],
  port: [0, integer(0, 65_535)],
  unix: [undefined, unixPath],
  fd: [undefined, () => {}], // see toFds
  backlog: [SOMAXCONN, integer(1)],
  reusePort: [false, boolean],
  ipv6Only: [false, boolean],
  deferAccept: [true, boolean],
  exclusive: [false, boolean],
  keepAlive: [true, boolean],
  eager: [true, boolean],
  response: [HELLO, response],
  fetch: [undefined, callback],
  onError: [undefined, callback],
  socket: [undefined, (_, value) => loadSocketProtocol().checkHandlers(value)],
  proxyProtocol: [false, (name, value) => loadProxiedProtocol().checkProxyOptions(name, value)],
  tls: [undefined, () => {}], // see tlsSettings
  websocket: [undefined, (_, value) => void loadWebSocketOptions().resolveWebSocketOptions(value)],
  maxConnections: [Infinity, integerOrInfinity(1)],
  maxConnectionsPerAddress: [Infinity, integerOrInfinity(1)],
  maxRequestsPerConnection: [Infinity, integerOrInfinity(1)],
  maxHeaderBytes: [16_384, integer(16)],
  maxHeaderCount: [100, integer(1)],
  maxTargetBytes: [8_192, integer(1)],
  maxBodyBytes: [16_777_216, integerOrInfinity(0, Number.MAX_SAFE_INTEGER)],
  maxBufferedBytes: [quarterOfMemory(), integerOrInfinity(1, Number.MAX_SAFE_INTEGER)],
  headerTimeoutMs: [10_000, duration],
  bodyTimeoutMs: [30_000, duration],
  minBodyRate: [240, integer(0)],
  idleTimeoutMs: [75_000, duration],
  handlerTimeoutMs: [120_000, duration],
  writeTimeoutMs: [30_000, duration],
  health: [undefined, (name, value) => loadMonitoring().checkPath(name, value)],
  metrics: [undefined, (name, value) => loadMonitoring().checkMetrics(name, value)],
  onRequest: [undefined, callback],
  heartbeat: [undefined, heartbeat],
  onStopping: [undefined, callback],
  onWarning: [undefined, callback],
  trace: [undefined, () => {}], // the tracer checks it
};

const TLS = { unsupported: "pass it in an object: tls: { key, cert }" };

/** Options of Bun.serve, node:http and Deno.serve with the equivalent here, or the reason why there is none. */
const FOREIGN_OPTIONS: Record<string, keyof EpollServerOptions | { unsupported: string }> = {
  idleTimeout: "idleTimeoutMs",
  timeout: "idleTimeoutMs",
  keepAliveTimeout: "idleTimeoutMs",
  headersTimeout: "headerTimeoutMs",
  requestTimeout: "bodyTimeoutMs",
  maxRequestBodySize: "maxBodyBytes",
  maxHeaderSize: "maxHeaderBytes",
  maxHeadersCount: "maxHeaderCount",
  maxRequestsPerSocket: "maxRequestsPerConnection",
  error: "onError",
  host: "hostname",
  address: "hostname",
  path: "unix",
  handler: "fetch",
  static: { unsupported: "use serve(), which has routes" },
  routes: { unsupported: "use serve(), which has routes" },
  key: TLS,
  cert: TLS,
  ca: TLS,
  passphrase: TLS,
  http1: { unsupported: "HTTP/1.1 is always on" },
  http2: { unsupported: "HTTP/2 is not supported" },
  http3: { unsupported: "HTTP/3 is not supported" },
  signal: { unsupported: "call stop() instead" },
  onListen: { unsupported: "the server listens once its constructor has returned" },
  workers: { unsupported: "use the command: epoll-hello app.ts --workers N" },
  development: { unsupported: "use serve(), which has a development mode" },
  id: { unsupported: "use serve()" },
};

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {TypeError} if options are unknown, exclude each other, or have the wrong type
 * @throws {RangeError} if a value is out of range
 */
export function resolveOptions(options: EpollServerOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) throw invalidType("options", "an object", options);
  rejectUnknown(options);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved: Record<string, unknown> = {};
  for (const [name, [defaultValue, check]] of Object.entries(OPTIONS)) {
    const value = given[name];
    if (value !== undefined) check(name, value);
    resolved[name] = value === undefined ? defaultValue : value;
  }
  const settings = resolved as unknown as ResolvedOptions;
  checkListenOptions(given);
  checkHandlerOptions(given);
  checkMonitoringOptions(settings);
  if (options.deferAccept === undefined) {
    // With reusePort, other servers take over when this one stops, and closing the socket would reset what the kernel holds back.
    settings.deferAccept = settings.eager && settings.socket === undefined && !settings.reusePort;
  }
  settings.tls = tlsSettings(settings);
  if (options.fd !== undefined) settings.fd = toFds(options.fd);
  const { response } = options;
  if (typeof response === "string" || response instanceof Uint8Array) settings.response = { body: response };
  return settings;
}

function rejectUnknown(options: object): void {
  const names = Object.keys(options).filter((name) => !Object.hasOwn(OPTIONS, name));
  if (names.length === 0) return;
  const list = names.map((name) => {
    const hint = optionHint(name);
    return `${JSON.stringify(name)}${hint === undefined ? "" : ` (${hint})`}`;
  });
  throw unknownOptions(`unknown option${names.length > 1 ? "s" : ""} of EpollServer: ${list.join(", ")}`);
}

/** Returns whether EpollServer has an option with this name. */
export function isOption(name: string): boolean {
  return Object.hasOwn(OPTIONS, name);
}

/** Returns what to use instead of an unknown option, or why there is nothing like it; undefined if nothing is known about it. */
export function optionHint(name: string): string | undefined {
  const known = Object.hasOwn(FOREIGN_OPTIONS, name) ? FOREIGN_OPTIONS[name] : undefined;
  if (typeof known === "object") return known.unsupported;
  const ours = known ?? suggest(name, Object.keys(OPTIONS));
  if (ours === undefined) return undefined;
  return known === undefined ? `did you mean ${JSON.stringify(ours)}?` : `use ${JSON.stringify(ours)}`;
}

/** `fd` and `unix` each replace `hostname` and `port`. */
function checkListenOptions(given: object): void {
  const used = (...names: string[]): string[] => names.filter((name) => name in given);
  if ("fd" in given) {
    const others = used("hostname", "port", "unix", "reusePort", "ipv6Only", "deferAccept", "backlog");
    if (others.length > 0) throw incompatibleOptions(["fd", ...others], "the socket of fd is already listening");
  }
  if ("unix" in given) {
    const others = used("hostname", "port");
    if (others.length > 0) throw incompatibleOptions(["unix", ...others], "listen on a path or on a port");
    if ((given as EpollServerOptions).reusePort === true) {
      throw incompatibleOptions(["unix", "reusePort"], "unix sockets cannot be shared by SO_REUSEPORT");
    }
  }
}

function checkHandlerOptions(given: object): void {
  const used = ["response", "fetch", "socket"].filter((name) => name in given);
  if (used.length > 1) throw incompatibleOptions(used, "choose one of them");
  if ("websocket" in given && !("fetch" in given)) {
    throw invalidValue("websocket requires fetch: a handler that calls server.upgrade(request)");
  }
}

/** `health` and `metrics` are paths of HTTP requests. */
function checkMonitoringOptions({ health, metrics, socket, fetch, keepAlive, eager }: ResolvedOptions): void {
  const used = [health === undefined ? [] : "health", metrics === undefined ? [] : "metrics"].flat();
  if (used.length === 0) return;
  if (socket !== undefined) throw incompatibleOptions(["socket", ...used], "there are no paths without HTTP");
  if (fetch === undefined && !keepAlive && !eager) {
    throw incompatibleOptions(["keepAlive", "eager", ...used], "the original program answers every request alike");
  }
  const path = typeof metrics === "object" ? metrics.path : metrics;
  if (health === path) throw incompatibleOptions(used, `both are ${JSON.stringify(path)}`);
}

/** Reads and checks the certificates of the `tls` option. */
function tlsSettings({ tls, socket, fetch, keepAlive, eager }: ResolvedOptions): TlsSettings | undefined {
  const value = tls as unknown;
  if (value === undefined || value === null || value === false) return undefined;
  if (fetch === undefined && socket === undefined && !keepAlive && !eager) {
    throw incompatibleOptions(["keepAlive", "eager", "tls"], "the original program has no TLS");
  }
  return loadTlsProtocol().createTlsSettings(value, socket === undefined);
}

function toFds(fd: number | readonly number[]): number[] {
  const fds = (Array.isArray(fd) ? (fd as readonly number[]) : [fd as number]).map(toFd);
  if (fds.length === 0) throw invalidValue("fd is an empty array: pass at least one listening socket");
  const duplicate = fds.find((number, i) => fds.indexOf(number) !== i);
  if (duplicate !== undefined) throw invalidValue(`fd contains ${duplicate} twice: pass each socket once`);
  return fds;
}

// ---- checks ----

function integer(min: number, max: number = MAX_INT32): Check {
  return (name, value) => {
    const expected = `an integer from ${min} to ${max}`;
    if (typeof value !== "number") throw invalidType(name, expected, value);
    if (!Number.isInteger(value) || value < min || value > max) throw outOfRange(name, expected, value);
  };
}

function integerOrInfinity(min: number, max: number = MAX_INT32): Check {
  return (name, value) => {
    if (value === Infinity) return;
    const expected = `an integer from ${min} to ${max}, or Infinity`;
    if (typeof value !== "number") throw invalidType(name, expected, value);
    if (!Number.isInteger(value) || value < min || value > max) throw outOfRange(name, expected, value);
  };
}

function duration(name: string, value: unknown): void {
  const expected = "a number of milliseconds greater than 0, or Infinity";
  if (typeof value !== "number" || Number.isNaN(value)) throw invalidType(name, expected, value);
  if (value <= 0) throw outOfRange(name, expected, value);
}

function boolean(name: string, value: unknown): void {
  if (typeof value !== "boolean") throw invalidType(name, "true or false", value);
}

function callback(name: string, value: unknown): void {
  if (typeof value !== "function") throw invalidType(name, "a function", value);
}

function hostname(name: string, value: unknown): void {
  if (typeof value !== "string") throw invalidType(name, "a string", value);
  if (value === "" || value.includes("\0")) {
    throw outOfRange(name, 'a host name or an address ("::" or "0.0.0.0" to listen on all of them)', value);
  }
}

function unixPath(name: string, value: unknown): void {
  if (typeof value !== "string") throw invalidType(name, "a string", value);
  if (value === "") throw outOfRange(name, "the path of a socket", value);
}

function response(name: string, value: unknown): void {
  const isObject = Object.prototype.toString.call(value) === "[object Object]";
  if (typeof value === "string" || value instanceof Uint8Array || isObject) return;
  throw invalidType(name, "a string, a Uint8Array, or an object { status, headers, body }", value);
}

function heartbeat(name: string, value: unknown): void {
  if (typeof value !== "object" || value === null) throw invalidType(name, "an object { everyMs, beat }", value);
  const { everyMs, beat } = value as { everyMs?: unknown; beat?: unknown };
  duration(`${name}.everyMs`, everyMs);
  callback(`${name}.beat`, beat);
}
