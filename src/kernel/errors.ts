// The error classes, and the catalog of argument errors: every message has the same shape and a code.

import { errnoMessage, errnoName } from "./errno.ts";

/** What a call was about, for its error. */
export interface ErrnoDetails {
  fd?: number | undefined;
  address?: string | undefined;
  port?: number | undefined;
}

/**
 * A system call failed.
 *
 * The message is as Node's: `EEXIST: file already exists, epoll_ctl`, or, with an address,
 * `bind EADDRINUSE: address already in use 127.0.0.1:8800`.
 *
 * @see errno(3)
 */
export class ErrnoError extends Error {
  override readonly name: string = "ErrnoError";
  /** The symbol: `"EBADF"`. */
  readonly code: string;
  /** The number, negative as in Node: `-9`. */
  readonly errno: number;
  /** The system call: `"epoll_ctl"`. */
  readonly syscall: string;
  /** The descriptor the call was about. */
  declare readonly fd?: number;
  declare readonly address?: string;
  declare readonly port?: number;

  /** @param errno the positive number, as in errno(3) */
  constructor(errno: number, syscall: string, { fd, address, port }: ErrnoDetails = {}) {
    const code = errnoName(errno);
    const message = errnoMessage(errno);
    const endpoint = port ? `${address}:${port}` : address?.replaceAll("\0", "@"); // no brackets, no :0, as in Node
    super(address === undefined ? `${code}: ${message}, ${syscall}` : `${syscall} ${code}: ${message} ${endpoint}`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
    if (fd !== undefined) this.fd = fd;
    if (address !== undefined) this.address = address;
    if (port !== undefined) this.port = port;
  }
}

/** Something was used after it was closed. */
export class ClosedError extends Error {
  override readonly name: string = "ClosedError";
  readonly code = "ERR_CLOSED";

  /** @param what the method and its class: `"Epoll.poll"` */
  constructor(what: string) {
    super(`${what}: this ${what.slice(0, what.indexOf("."))} is closed`);
  }
}

/** Return what a system call returned, or throw what its -errno means. */
export function check(result: number, syscall: string, fd?: number): number {
  if (result < 0) throw new ErrnoError(-result, syscall, { fd });
  return result;
}

// netdb.h: what getaddrinfo returns, with the names that Node gives them.
const lookupNames = new Map([
  [-2, "ENOTFOUND"],
  [-3, "EAI_AGAIN"],
  [-4, "EAI_FAIL"],
  [-5, "ENOTFOUND"],
  [-10, "EAI_MEMORY"],
  [-11, "EAI_SYSTEM"],
]);

/**
 * A host's name has no address. The message is as Node's: `getaddrinfo ENOTFOUND no.such.host`.
 *
 * @see getaddrinfo(3)
 */
export class LookupError extends Error {
  override readonly name: string = "LookupError";
  /** `"ENOTFOUND"`, or `"EAI_AGAIN"` if the resolver did not answer. */
  readonly code: string;
  readonly syscall = "getaddrinfo";
  readonly hostname: string;

  /** @param eai what getaddrinfo returned; 0: it found none */
  constructor(eai: number, hostname: string) {
    const code = lookupNames.get(eai) ?? (eai === 0 ? "ENOTFOUND" : `EAI_${-eai}`);
    super(`getaddrinfo ${code} ${hostname}`);
    this.code = code;
    this.hostname = hostname;
  }
}

/** Codes of argument errors, as Node uses them. */
export type ArgumentErrorCode =
  | "ERR_INVALID_ARG_TYPE"
  | "ERR_OUT_OF_RANGE"
  | "ERR_INVALID_ARG_VALUE"
  | "ERR_UNKNOWN_OPTION"
  | "ERR_INCOMPATIBLE_OPTIONS";

function withCode<E extends Error>(error: E, code: ArgumentErrorCode): E & { code: ArgumentErrorCode } {
  return Object.assign(error, { code });
}

/**
 * An argument has the wrong type: `port must be an integer from 0 to 65535; received "http"`.
 *
 * @param expected what completes "must be": `"a function"`
 */
export function invalidType(name: string, expected: string, received: unknown): TypeError {
  return withCode(new TypeError(`${name} must be ${expected}; received ${format(received)}`), "ERR_INVALID_ARG_TYPE");
}

/**
 * A number is out of range: `port must be an integer from 0 to 65535; received 70000`.
 *
 * @param expected what completes "must be": `"an integer from 0 to 65535"`
 */
export function outOfRange(name: string, expected: string, received: unknown): RangeError {
  return withCode(new RangeError(`${name} must be ${expected}; received ${format(received)}`), "ERR_OUT_OF_RANGE");
}

/** A value of the right type cannot be used. The message is a sentence that names the value and says what to do. */
export function invalidValue(message: string): RangeError {
  return withCode(new RangeError(message), "ERR_INVALID_ARG_VALUE");
}

/** Options exclude each other: `options "unix" and "port" cannot be used together`. */
export function incompatibleOptions(names: readonly string[], hint?: string): TypeError {
  const quoted = names.map((name) => `"${name}"`);
  const list = quoted.length > 1 ? `${quoted.slice(0, -1).join(", ")} and ${quoted.at(-1)}` : quoted[0];
  const message = `options ${list} cannot be used together${hint === undefined ? "" : `: ${hint}`}`;
  return withCode(new TypeError(message), "ERR_INCOMPATIBLE_OPTIONS");
}

/** An object has options that do not exist. The message names all of them. */
export function unknownOptions(message: string): TypeError {
  return withCode(new TypeError(message), "ERR_UNKNOWN_OPTION");
}

/** A received value, short enough for a message. */
function format(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `a function${value.name === "" ? "" : ` (${value.name})`}`;
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : `an instance of ${value.constructor?.name ?? "Object"}`;
}
