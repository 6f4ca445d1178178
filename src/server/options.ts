// What an EpollServer can be told, what it does untold, and what it refuses to be told.

import { checkPort } from "../kernel/address.ts";
import { SOMAXCONN } from "../kernel/constants.ts";
import { toFd } from "../kernel/fd.ts";
import type { StaticResponse } from "../protocols/http/static-response.ts";
import type { RequestInfo } from "../protocols/http/request-info.ts";
import { checkHandlers, type SocketHandlers } from "../protocols/socket/socket-protocol.ts";
import type { TraceListener, TraceOptions } from "../trace/events.ts";
import type { EpollServer } from "./server.ts";

/** Something that the server copes with, and its owner may want to know. */
export interface ServerWarning {
  /** What it is about: `"EMFILE"`, … */
  readonly code: string;
  /** A sentence: what happened, what the server does, and what to do about it. */
  readonly message: string;
}

export interface EpollServerOptions {
  /** Where to listen: a name or an address. `"localhost"` is 127.0.0.1 and ::1, `"::"` is everything. */
  hostname?: string | undefined;
  /** 0, the default, takes any free port: read it back from `server.port`. */
  port?: number | undefined;
  /** Listen on a unix(7) socket instead: a path, or `"\0name"`. */
  unix?: string | undefined;
  /**
   * Serve on a socket that listens already, or on several, instead: inherited, handed over, or from `listenFds()`. They are
   * taken over, and closed with the server; a unix socket's file is left alone.
   */
  fd?: number | readonly number[] | undefined;
  /** How many connections may wait to be accepted, capped by net.core.somaxconn. 4096 unless given. */
  backlog?: number | undefined;
  /** Let several servers share the port (SO_REUSEPORT). */
  reusePort?: boolean | undefined;
  /**
   * Have the kernel hand over a TCP connection when its first bytes have come, or after a second without (TCP_DEFER_ACCEPT of
   * tcp(7)): one request per connection costs a third less. `true` unless given, but for `socket` (where the server may be the
   * first to speak), `fd` (its options are its owner's) and the document's loop.
   */
  deferAccept?: boolean | undefined;
  /**
   * Other processes serve on the same listening sockets (`fd`): for each connection the kernel wakes one of those that wait
   * (EPOLLEXCLUSIVE), and that one accepts few at a time, so that the others get theirs.
   */
  exclusive?: boolean | undefined;
  /** Keep connections open for further requests. `false` with `eager: false`: the document's loop to the letter. */
  keepAlive?: boolean | undefined;
  /** Try the next system call at once, and go to epoll only on EAGAIN. */
  eager?: boolean | undefined;
  /** The reply to every request: a text, bytes, or status, headers and body. `"Hello from Epoll server!"` unless given. */
  response?: string | Uint8Array | StaticResponse | undefined;
  /**
   * Answer each request: a web-standard handler, such as a Hono app's `app.fetch`. A Response that is there at once, or
   * once microtasks have run, is sent within the iteration; one that has to wait for more needs Bun's event loop.
   */
  fetch?: FetchHandler | undefined;
  /** Called when `fetch` throws, rejects, or returns no Response; the reply is what it returns, or else 500. */
  onError?: ((error: unknown, request: Request | undefined) => Response | void) | undefined;
  /** Speak another protocol than HTTP: handlers for connections, in the shape of Bun.listen's. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the data are the application's
  socket?: SocketHandlers<any> | undefined;
  /** How many connections may be open; others wait to be accepted. No limit but that of descriptors unless given. */
  maxConnections?: number | undefined;
  /** How many connections one address may have open; over it: 503. No limit unless given: a proxy is one address. */
  maxConnectionsPerAddress?: number | undefined;
  /** How many requests a connection may make: the last one's reply says that it closes. No limit unless given. */
  maxRequestsPerConnection?: number | undefined;
  /** How long a request's head may be; over it: 431. 16384 unless given. */
  maxHeaderBytes?: number | undefined;
  /** How many fields a request's head may have; over it: 431. 100 unless given. */
  maxHeaderCount?: number | undefined;
  /** How long a request's target may be; over it: 414. 8192 unless given. */
  maxTargetBytes?: number | undefined;
  /** How long a request's body may be; over it: 413. 16777216, 16 MiB, unless given. */
  maxBodyBytes?: number | undefined;
  /** How long a request's head may take, from the connection's start or its first byte; over it: 408. 10000 unless given. */
  headerTimeoutMs?: number | undefined;
  /** In each such time, so much of a request's body has to come as `minBodyRate` says, or its end; else: 408. 30000 unless given. */
  bodyTimeoutMs?: number | undefined;
  /** How many bytes of a request's body have to come in a second, on average over `bodyTimeoutMs`. 240 unless given. */
  minBodyRate?: number | undefined;
  /** How long an open connection may be silent between two requests. 60000 unless given. */
  idleTimeoutMs?: number | undefined;
  /** How long a client may take none of its reply. 30000 unless given. */
  writeTimeoutMs?: number | undefined;
  /** Called for each request as it is answered, or refused with 408 or 431. */
  onRequest?: ((request: RequestInfo) => void) | undefined;
  /** Called by the loop itself, at least so often: what hears of it knows that the loop goes round. */
  heartbeat?: Heartbeat | undefined;
  /** Called once, when it begins to stop. */
  onStopping?: (() => void) | undefined;
  /** Called when the server copes with trouble: once for each time that it begins. */
  onWarning?: ((warning: ServerWarning) => void) | undefined;
  /**
   * Called for each thing that the loop does: waits with what they brought, system calls with their results, changes of state,
   * and warnings of what looks wrong. Without it nothing of that exists, and it costs nothing.
   */
  trace?: TraceListener | TraceOptions | undefined;
}

export interface Heartbeat {
  everyMs: number;
  beat: () => void;
}

/** A web-standard handler. `server` is the one that calls it: it knows where a request came from. */
export type FetchHandler = (request: Request, server: EpollServer) => Response | Promise<Response>;

/** The options with all defaults, checked. */
export interface ResolvedOptions {
  hostname: string;
  port: number;
  unix: string | undefined;
  fd: readonly number[] | undefined;
  backlog: number;
  reusePort: boolean;
  deferAccept: boolean;
  exclusive: boolean;
  keepAlive: boolean;
  eager: boolean;
  response: StaticResponse;
  fetch: FetchHandler | undefined;
  onError: EpollServerOptions["onError"];
  socket: SocketHandlers | undefined;
  maxConnections: number;
  maxConnectionsPerAddress: number;
  maxRequestsPerConnection: number;
  maxHeaderBytes: number;
  maxHeaderCount: number;
  maxTargetBytes: number;
  maxBodyBytes: number;
  headerTimeoutMs: number;
  bodyTimeoutMs: number;
  minBodyRate: number;
  idleTimeoutMs: number;
  writeTimeoutMs: number;
  onRequest: ((request: RequestInfo) => void) | undefined;
  onWarning: ((warning: ServerWarning) => void) | undefined;
  heartbeat: Heartbeat | undefined;
  onStopping: (() => void) | undefined;
  trace: TraceListener | TraceOptions | undefined;
}

const defaults: ResolvedOptions = {
  hostname: "localhost",
  port: 0,
  unix: undefined,
  fd: undefined,
  backlog: SOMAXCONN,
  reusePort: false,
  deferAccept: true,
  exclusive: false,
  keepAlive: true,
  eager: true,
  response: { headers: { "Content-Type": "text/plain" }, body: "Hello from Epoll server!" },
  fetch: undefined,
  onError: undefined,
  socket: undefined,
  maxConnections: Infinity,
  maxConnectionsPerAddress: Infinity,
  maxRequestsPerConnection: Infinity,
  maxHeaderBytes: 16_384,
  maxHeaderCount: 100,
  maxTargetBytes: 8_192,
  maxBodyBytes: 16_777_216,
  headerTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  minBodyRate: 240,
  idleTimeoutMs: 60_000,
  writeTimeoutMs: 30_000,
  onRequest: undefined,
  onWarning: undefined,
  heartbeat: undefined,
  onStopping: undefined,
  trace: undefined,
};

/**
 * Fill in the defaults.
 *
 * @throws {TypeError} if an option is not known, or of another type
 * @throws {RangeError} if a number is out of range
 */
export function resolveOptions(options: EpollServerOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) throw new TypeError("EpollServer takes an object of options");
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(defaults, name)) throw new TypeError(`EpollServer has no option ${JSON.stringify(name)}`);
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings: ResolvedOptions = { ...defaults, ...given };
  if (options.deferAccept === undefined)
    settings.deferAccept = settings.eager !== false && settings.socket === undefined;
  if (options.fd !== undefined) settings.fd = inherited(options.fd, given);
  checkPort(settings.port);
  text("hostname", settings.hostname);
  if (settings.hostname === "" || settings.hostname.includes("\0")) {
    throw new RangeError('hostname is a name or an address; "::" and "0.0.0.0" listen everywhere');
  }
  if (settings.unix !== undefined) {
    text("unix", settings.unix);
    if (settings.unix === "") throw new RangeError("unix is the path of a socket, and not empty");
    if ("port" in given || "hostname" in given) throw new TypeError("give either unix, or hostname and port");
    if (settings.reusePort) throw new TypeError("reusePort is for ports, not for unix sockets");
  }
  whole("backlog", settings.backlog, 1);
  for (const name of ["maxConnections", "maxConnectionsPerAddress", "maxRequestsPerConnection"] as const) {
    if (settings[name] !== Infinity) whole(name, settings[name], 1);
  }
  whole("maxHeaderBytes", settings.maxHeaderBytes, 16);
  whole("maxHeaderCount", settings.maxHeaderCount, 1);
  whole("maxTargetBytes", settings.maxTargetBytes, 1);
  if (settings.maxBodyBytes !== Infinity) whole("maxBodyBytes", settings.maxBodyBytes, 0, Number.MAX_SAFE_INTEGER);
  whole("minBodyRate", settings.minBodyRate, 0);
  for (const name of ["headerTimeoutMs", "bodyTimeoutMs", "idleTimeoutMs", "writeTimeoutMs"] as const) {
    duration(name, settings[name]);
  }
  for (const name of ["reusePort", "deferAccept", "exclusive", "keepAlive", "eager"] as const) {
    if (typeof settings[name] !== "boolean") throw new TypeError(`${name} is true or false`);
  }
  for (const name of ["fetch", "onError", "onRequest", "onStopping", "onWarning"] as const) {
    const callback = settings[name];
    if (callback !== undefined && typeof callback !== "function") throw new TypeError(`${name} is a function`);
  }
  if (settings.heartbeat !== undefined) {
    duration("heartbeat.everyMs", settings.heartbeat.everyMs);
    if (typeof settings.heartbeat.beat !== "function") throw new TypeError("heartbeat.beat is a function");
  }
  const kinds = (["response", "fetch", "socket"] as const).filter((name) => name in given);
  if (kinds.length > 1) throw new TypeError(`give one of response, fetch and socket, and not ${kinds.join(" and ")}`);
  if (settings.socket !== undefined) checkHandlers(settings.socket);
  const { response } = options;
  if (typeof response === "string" || response instanceof Uint8Array) settings.response = { body: response };
  else if (Object.prototype.toString.call(settings.response) !== "[object Object]") {
    throw new TypeError("response is a string, bytes, or { status, headers, body }");
  }
  return settings;
}

function inherited(fd: number | readonly number[], given: object): number[] {
  const other = ["hostname", "port", "unix", "reusePort", "deferAccept", "backlog"].find((name) => name in given);
  if (other !== undefined) throw new TypeError(`a socket that listens already (fd) has its ${other}: leave that out`);
  const fds = (typeof fd === "number" ? [fd] : [...fd]).map(toFd);
  if (fds.length === 0) throw new RangeError("fd is an empty list: there is nothing to serve on");
  if (new Set(fds).size < fds.length) throw new RangeError("fd names a descriptor twice");
  return fds;
}

function text(name: string, value: unknown): void {
  if (typeof value !== "string") throw new TypeError(`${name} is a string, not ${typeof value}`);
}

function whole(name: string, value: number, least: number, most: number = 0x7fffffff): void {
  if (typeof value !== "number") throw new TypeError(`${name} is a number, not ${typeof value}`);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} is a whole number from ${least} up, not ${value}`);
  }
}

function duration(name: string, value: number): void {
  if (typeof value !== "number" || Number.isNaN(value)) throw new TypeError(`${name} is a number of milliseconds`);
  if (value <= 0)
    throw new RangeError(`${name} is a number of milliseconds above 0 (Infinity: no limit), not ${value}`);
}
