// Error classes for failed system calls, closed objects and host lookups, and the catalog of argument errors.

import { errnoMessage, errnoName } from "./errno.ts";
import { formatPath } from "./format-path.ts";

/** The file descriptor or address that a failed call referred to, and a hint. */
export interface ErrnoDetails {
  fd?: number | undefined;
  address?: string | undefined;
  port?: number | undefined;
  /** Appended to the message: the likely cause, or what to do. */
  hint?: string | undefined;
}

/**
 * Thrown when a system call fails.
 *
 * The message has the shape of Node's: `EEXIST: file already exists, epoll_ctl`, or, with an address,
 * `bind EADDRINUSE: address already in use 127.0.0.1:8800`.
 *
 * @see errno(3)
 */
export class ErrnoError extends Error {
  override readonly name: string = "ErrnoError";
  /** The name of the error: `"EBADF"`. */
  readonly code: string;
  /** The error number, negative as in Node: `-9`. */
  readonly errno: number;
  /** The system call: `"epoll_ctl"`. */
  readonly syscall: string;
  /** The file descriptor that the call referred to. */
  declare readonly fd?: number;
  /** The address or path that the call referred to. */
  declare readonly address?: string;
  declare readonly port?: number;

  /**
   * @param errno the error number, positive as in errno(3)
   * @param syscall the name of the system call
   */
  constructor(errno: number, syscall: string, details: ErrnoDetails = {}) {
    if (typeof details !== "object" || details === null) throw invalidType("details", "{ fd, address, … }", details);
    const { fd, address, port, hint } = details;
    checkInteger("errno", errno, 0, 0x7fffffff);
    checkText("syscall", syscall);
    if (address !== undefined) checkText("address", address);
    if (hint !== undefined) checkText("hint", hint);
    const code = errnoName(errno);
    const message = errnoMessage(errno);
    const endpoint = port || address === undefined ? `${address}:${port}` : formatPath(address); // no brackets, no :0, as in Node
    const text =
      address === undefined ? `${code}: ${message}, ${syscall}` : `${syscall} ${code}: ${message} ${endpoint}`;
    super(hint === undefined ? text : `${text}: ${hint}`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
    if (fd !== undefined) this.fd = fd;
    if (address !== undefined) this.address = address;
    if (port !== undefined) this.port = port;
  }
}

/** Thrown when a method of a closed object is called: `Socket.send: this Socket is closed`. */
export class ClosedError extends Error {
  override readonly name: string = "ClosedError";
  readonly code = "ERR_CLOSED";

  /** @param method the class and the method: `"Epoll.poll"` */
  constructor(method: string) {
    checkText("method", method);
    super(`${method}: this ${method.slice(0, method.indexOf("."))} is closed`);
  }
}

/**
 * Returns the result of a system call.
 *
 * @throws {ErrnoError} if the result is negative, an -errno
 */
export function check(result: number, syscall: string, fd?: number): number {
  if (result < 0) throw new ErrnoError(-result, syscall, { fd });
  return result;
}

/** Node's names for the errors of getaddrinfo, which are negative numbers in <netdb.h>. */
const lookupNames = new Map([
  [-2, "ENOTFOUND"],
  [-3, "EAI_AGAIN"],
  [-4, "EAI_FAIL"],
  [-5, "ENOTFOUND"],
  [-10, "EAI_MEMORY"],
  [-11, "EAI_SYSTEM"],
]);

/**
 * Thrown when a host name cannot be resolved. The message has the shape of Node's: `getaddrinfo ENOTFOUND
 * no.such.host`.
 *
 * @see getaddrinfo(3)
 */
export class LookupError extends Error {
  override readonly name: string = "LookupError";
  /** `"ENOTFOUND"`; `"EAI_AGAIN"` if the name server did not respond; … */
  readonly code: string;
  readonly syscall = "getaddrinfo";
  /** The name that was looked up. */
  readonly hostname: string;

  /** @param eai the error of getaddrinfo, negative; 0 if it succeeded without finding an address */
  constructor(eai: number, hostname: string) {
    checkInteger("eai", eai, -0x80000000, 0x7fffffff);
    checkText("hostname", hostname);
    const code = lookupNames.get(eai) ?? (eai === 0 ? "ENOTFOUND" : `EAI_${-eai}`);
    super(`getaddrinfo ${code} ${hostname}`);
    this.code = code;
    this.hostname = hostname;
  }
}

/** The `code` of an argument error. */
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
 * Returns the error for an argument of the wrong type: `port must be an integer from 0 to 65535; received "http"`.
 *
 * @param expected completes "must be": `"a function"`
 */
export function invalidType(name: string, expected: string, received: unknown): TypeError {
  return withCode(new TypeError(`${name} must be ${expected}; received ${format(received)}`), "ERR_INVALID_ARG_TYPE");
}

/**
 * Returns the error for a number that is out of range: `port must be an integer from 0 to 65535; received 70000`.
 *
 * @param expected completes "must be": `"an integer from 0 to 65535"`
 */
export function outOfRange(name: string, expected: string, received: unknown): RangeError {
  return withCode(new RangeError(`${name} must be ${expected}; received ${format(received)}`), "ERR_OUT_OF_RANGE");
}

/**
 * Returns the error for a value that has the right type but is invalid. The message names the value and says what to
 * do.
 */
export function invalidValue(message: string): RangeError {
  return withCode(new RangeError(message), "ERR_INVALID_ARG_VALUE");
}

/** Returns the error for mutually exclusive options: `options "unix" and "port" cannot be used together`. */
export function incompatibleOptions(names: readonly string[], hint?: string): TypeError {
  const quoted = names.map((name) => `"${name}"`);
  const list = quoted.length > 1 ? `${quoted.slice(0, -1).join(", ")} and ${quoted.at(-1)}` : quoted[0];
  const message = `options ${list} cannot be used together${hint === undefined ? "" : `: ${hint}`}`;
  return withCode(new TypeError(message), "ERR_INCOMPATIBLE_OPTIONS");
}

/** Returns the error for options that do not exist. The message names all of them. */
export function unknownOptions(message: string): TypeError {
  return withCode(new TypeError(message), "ERR_UNKNOWN_OPTION");
}

/**
 * Returns `value` if it is an integer from `min` to `max`.
 *
 * @param hint follows the range in the message: `", such as AF_INET"`
 * @throws {TypeError} if it is not a number
 * @throws {RangeError} if it is not an integer, or out of range
 */
export function checkInteger(name: string, value: unknown, min: number, max: number, hint: string = ""): number {
  if (typeof value !== "number") throw invalidType(name, `an integer from ${min} to ${max}${hint}`, value);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw outOfRange(name, `an integer from ${min} to ${max}${hint}`, value);
  }
  return value;
}

function checkText(name: string, value: string): void {
  if (typeof value !== "string") throw invalidType(name, "a string", value);
}

/** Formats a received value, shortened to fit in a message. */
function format(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `a function${value.name === "" ? "" : ` (${value.name})`}`;
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : `an instance of ${value.constructor?.name ?? "Object"}`;
}

/** Throws the error, if there is one; an AggregateError if there are several. */
export function throwErrors(errors: readonly unknown[]): void {
  if (errors.length === 0) return;
  const [first] = errors;
  if (errors.length === 1) throw first;
  const message = first instanceof Error ? first.message : String(first);
  throw new AggregateError(errors, `${errors.length} callbacks failed; the first one: ${message}`);
}
