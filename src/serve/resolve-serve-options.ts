// Validation of serve's options, and their translation to those of EpollServer.

import { resolve } from "node:path";
import { incompatibleOptions, invalidType, outOfRange, unknownOptions } from "../kernel/errors.ts";
import { suggest } from "../kernel/suggest.ts";
import type { EpollServerOptions } from "../server/options.ts";
import { isOption, optionHint, resolveOptions } from "../server/resolve-options.ts";

/** The options of Bun.serve. */
const BUN_OPTIONS = [
  "fetch",
  "routes",
  "error",
  "websocket",
  "tls",
  "port",
  "hostname",
  "unix",
  "reusePort",
  "ipv6Only",
  "idleTimeout",
  "maxRequestBodySize",
  "development",
  "id",
  "http1",
  "http2",
  "http3",
] as const;

/** The options of `serve` with values of any type, without those that are undefined or null. */
export type GivenOptions = Partial<Record<(typeof BUN_OPTIONS)[number] | keyof EpollServerOptions, unknown>>;

export interface ServeSettings {
  /** The options of EpollServer, without fetch. */
  readonly options: EpollServerOptions;
  readonly id: string;
  readonly isDevelopment: boolean;
}

/** The default of maxRequestBodySize. */
const MAX_BODY_BYTES = 134_217_728;
const MAX_IDLE_SECONDS = 255;

/** Options that only look as if they could be used, with what to do instead. */
const UNUSABLE: Readonly<Record<string, string>> = {
  static: 'use "routes"',
  response: 'use "routes", or EpollServer',
  socket: "use EpollServer",
};

/** The options that an instance of a class may have besides `fetch`. Hono's and Elysia's other properties mean something else. */
const INSTANCE_OPTIONS = [
  "port",
  "hostname",
  "unix",
  "reusePort",
  "ipv6Only",
  "idleTimeout",
  "maxRequestBodySize",
  "development",
  "id",
] as const;

/**
 * Returns the options that are set. An option that is null is not set, as in Bun.serve. An instance of a class, such as a Hono app,
 * is called as its own `fetch` method.
 *
 * @throws {TypeError} if there is an unknown or unsupported option
 */
export function givenOptions(options: unknown): GivenOptions {
  if (typeof options !== "object" || options === null) throw invalidType("the argument of serve", "an object", options);
  const isInstance = ![Object.prototype, null].includes(Object.getPrototypeOf(options) as object | null);
  const plain = isInstance ? optionsOfInstance(options) : options;
  const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined && value !== null));
  rejectUnknown(given);
  rejectUnsupported(given);
  return given;
}

function optionsOfInstance(instance: GivenOptions): GivenOptions {
  const { fetch } = instance;
  if (typeof fetch !== "function") throw invalidType("fetch", "a function", fetch);
  const scalars = INSTANCE_OPTIONS.filter((name) => ["string", "number", "boolean"].includes(typeof instance[name]));
  const { websocket } = instance;
  return {
    ...Object.fromEntries(scalars.map((name) => [name, instance[name]])),
    ...(typeof websocket === "object" ? { websocket } : {}),
    fetch: (request: unknown, server: unknown): unknown => Reflect.apply(fetch, instance, [request, server]),
  };
}

/**
 * Translates the options that say how to serve.
 *
 * @throws {TypeError} if options exclude each other, or have the wrong type
 * @throws {RangeError} if a value is out of range
 */
export function resolveServeOptions(given: GivenOptions): ServeSettings {
  const options = {
    ...ownOptions(given),
    ...addressOptions(given),
    ...timeoutOptions(given),
    maxBodyBytes: maxBodyBytes(given),
    ...(given.tls === undefined ? {} : { tls: given.tls as false }),
    ...(given.websocket === undefined ? {} : { websocket: given.websocket as object }),
  };
  resolveOptions({ ...options, fetch: () => undefined }); // checks the values
  const { id, development } = given;
  const isDevelopment = development === undefined ? process.env["NODE_ENV"] !== "production" : development !== false;
  return { options, id: id === undefined ? "" : String(id), isDevelopment };
}

/** Returns the options of EpollServer that are given under their own names. */
function ownOptions(given: GivenOptions): EpollServerOptions {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !isBunOption(name)));
}

function addressOptions({ unix, port, hostname, reusePort, ipv6Only, fd }: GivenOptions): EpollServerOptions {
  const hasHost = hostname !== undefined && hostname !== "";
  if (unix !== undefined && unix !== "") {
    if (hasHost) throw incompatibleOptions(["unix", "hostname"], "listen on a path or on a port");
    return { unix: String(unix) }; // Bun.serve ignores the port too
  }
  const options = {
    ...(hasHost ? { hostname: String(hostname).replace(/^\[(.*)\]$/, "$1") } : {}),
    ...(reusePort === undefined ? {} : { reusePort }),
    ...(ipv6Only === undefined ? {} : { ipv6Only }),
    ...(port === undefined || port === "" ? {} : { port: portNumber(port) }),
  };
  const fromEnvironment = "port" in options || fd !== undefined ? undefined : environmentPort();
  return (fromEnvironment === undefined ? options : { ...options, port: fromEnvironment }) as EpollServerOptions;
}

/**
 * Checks a port, which may be a string.
 *
 * @throws {RangeError} if it is out of range
 */
export function portNumber(port: unknown): number {
  const number = typeof port === "string" && port.trim() !== "" ? Number(port) : port;
  const isPort = Number.isInteger(number) && (number as number) >= 0 && (number as number) <= 65_535;
  if (!isPort) throw outOfRange("port", "an integer from 0 to 65535", port);
  return number as number;
}

/** Returns the port of the environment: the first of these variables that has a valid one. */
function environmentPort(): number | undefined {
  const { BUN_PORT, PORT, NODE_PORT } = process.env;
  const port = [BUN_PORT, PORT, NODE_PORT].find((text) => /^\d{1,5}$/.test(text ?? "") && Number(text) <= 65_535);
  return port === undefined ? undefined : Number(port);
}

/** `idleTimeout` limits the wait for the next request, for the handler, and for a client that does not read its response. */
function timeoutOptions(given: GivenOptions): EpollServerOptions {
  const { idleTimeout, idleTimeoutMs, handlerTimeoutMs, writeTimeoutMs } = given;
  if (idleTimeout === undefined) return {};
  const isSeconds = Number.isInteger(idleTimeout) && (idleTimeout as number) >= 0;
  if (!isSeconds || (idleTimeout as number) > MAX_IDLE_SECONDS) {
    throw outOfRange("idleTimeout", `an integer from 0 to ${MAX_IDLE_SECONDS}, in seconds`, idleTimeout);
  }
  if (idleTimeoutMs !== undefined) throw incompatibleOptions(["idleTimeout", "idleTimeoutMs"], "choose one of them");
  const timeoutMs = idleTimeout === 0 ? Infinity : (idleTimeout as number) * 1000;
  return {
    idleTimeoutMs: timeoutMs,
    handlerTimeoutMs: (handlerTimeoutMs as number | undefined) ?? timeoutMs,
    writeTimeoutMs: (writeTimeoutMs as number | undefined) ?? timeoutMs,
  };
}

function maxBodyBytes({ maxRequestBodySize, maxBodyBytes: own }: GivenOptions): number {
  if (maxRequestBodySize === undefined) return (own as number | undefined) ?? MAX_BODY_BYTES;
  if (own !== undefined) throw incompatibleOptions(["maxRequestBodySize", "maxBodyBytes"], "choose one of them");
  const isSize = Number.isSafeInteger(maxRequestBodySize) && (maxRequestBodySize as number) >= 0;
  if (isSize || maxRequestBodySize === Infinity) return maxRequestBodySize as number;
  throw outOfRange("maxRequestBodySize", "a number of bytes, or Infinity", maxRequestBodySize);
}

/** Returns the URL of a server on a unix socket, as Bun.serve writes it. */
export function unixUrl(path: string): URL {
  if (path.startsWith("\0")) return new URL(`abstract://${encodeURIComponent(path.slice(1))}/`);
  return new URL(`unix://${resolve(path).split("/").map(encodeURIComponent).join("/")}`);
}

// ---- options that are rejected ----

function isBunOption(name: string): boolean {
  return (BUN_OPTIONS as readonly string[]).includes(name);
}

function rejectUnknown(given: object): void {
  const names = Object.keys(given).filter(
    (name) => !isBunOption(name) && (Object.hasOwn(UNUSABLE, name) || !isOption(name)),
  );
  if (names.length === 0) return;
  const list = names.map((name) => {
    const hint = Object.hasOwn(UNUSABLE, name) ? UNUSABLE[name] : hintFor(name);
    return hint === undefined ? JSON.stringify(name) : `${JSON.stringify(name)} (${hint})`;
  });
  throw unknownOptions(`unknown option${names.length > 1 ? "s" : ""} of serve: ${list.join(", ")}`);
}

function hintFor(name: string): string | undefined {
  const similar = suggest(name, BUN_OPTIONS);
  return similar === undefined ? optionHint(name) : `did you mean ${JSON.stringify(similar)}?`;
}

function rejectUnsupported({ http1, http2, http3, error, onError }: GivenOptions): void {
  if (http1 === false) throw unsupported("http1: false", "HTTP/1.1 is the only version that is supported");
  if (http2 === true) throw unsupported("http2", "only HTTP/1.1 is supported; a proxy in front can speak HTTP/2");
  if (http3 === true) throw unsupported("http3", "only HTTP/1.1 is supported; a proxy in front can speak HTTP/3");
  if (error !== undefined && onError !== undefined) {
    throw incompatibleOptions(["error", "onError"], "choose one of them");
  }
}

function unsupported(name: string, hint: string): TypeError {
  return unknownOptions(`serve does not support ${name}: ${hint}`);
}
