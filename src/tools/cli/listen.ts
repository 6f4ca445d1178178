// Explains in terms of the command line why an address cannot be listened on.

import { type EpollServerOptions, ErrnoError, LookupError } from "../../index.ts";
import { UsageError } from "./command-line.ts";

/**
 * Returns what `open` returns.
 *
 * @throws {Error} if the address cannot be listened on; the message says what to do
 * @throws {UsageError} if an option is out of range
 */
export function listen<T>(options: EpollServerOptions, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw explainListenError(error, options);
  }
}

function explainListenError(error: unknown, { hostname, fd }: EpollServerOptions): unknown {
  const host = JSON.stringify(hostname);
  if (error instanceof LookupError) {
    return new Error(`cannot resolve the host ${host} (${error.message}); use a name or an address of this machine`);
  }
  if (error instanceof ErrnoError && error.code === "EADDRNOTAVAIL") {
    return new Error(`${host} is not an address of this machine; use localhost, or 0.0.0.0 for all IPv4 addresses`);
  }
  if (fd !== undefined) {
    if (!(error instanceof ErrnoError) || error.fd === undefined) return error;
    return new Error(`file descriptor ${error.fd} is not an inherited socket (${error.code})`);
  }
  return isArgumentError(error) ? new UsageError(error.message) : error;
}

function isArgumentError(error: unknown): error is Error {
  return (error instanceof RangeError || error instanceof TypeError) && "code" in error;
}
