// A trace for people: a line for each event, as strace would write it, the masks by name.

import type { Address } from "../kernel/address.ts";
import { formatMask } from "../kernel/format-mask.ts";
import { formatEndpoint } from "../kernel/address.ts";
import { errnoName } from "../kernel/errno.ts";
import type { TraceEvent, TransferEvent, WaitEvent } from "./events.ts";

export interface TextOptions {
  /** Masks as numbers: `[(5, 1)]`, as the document has them. */
  isNumeric?: boolean | undefined;
}

const INDENT = "      ";
const NOTE_COLUMN = 46;

/**
 * `#13 epoll_wait(4, 1000) = [(5, EPOLLIN)]`; what follows a wait is indented. A trace's beginning and the end of an iteration have
 * no line of their own (`undefined`): the first line and the next wait say as much.
 */
export function formatEvent(event: TraceEvent, options: TextOptions = {}): string | undefined {
  const mask = (value: number | null): string =>
    value === null ? "" : `, ${options.isNumeric ? value : formatMask(value)}`;
  switch (event.type) {
    case "begin":
    case "iteration":
      return undefined;
    case "listen":
      return noted(`${INDENT}listen(${event.fd})`, formatPeer(event.address));
    case "create":
      return `${INDENT}epoll_create1(EPOLL_CLOEXEC) = ${result(event.result)}`;
    case "wait":
      return noted(`#${event.iteration} ${waitCall(event, options)}`, `+${(event.us / 1e6).toFixed(3)}s`);
    case "ctl":
      return ended(`${INDENT}epoll_ctl(${event.epfd}, ${event.op}, ${event.fd}${mask(event.mask)})`, event.result);
    case "accept":
      return noted(`${INDENT}accept4(${event.fd}) = ${result(event.result)}`, event.peer && formatPeer(event.peer));
    case "connect":
      return noted(`${INDENT}connect(${event.fd}) = ${result(event.result)}`, formatPeer(event.address));
    case "recv":
    case "send": {
      const call = `${INDENT}${event.call ?? event.type}(${event.fd}) = ${result(event.result)}`;
      if (event.bytes !== undefined) return `${call} ${JSON.stringify(event.bytes).replace(/[\x7f-\xff]/g, escaped)}`;
      return noted(call, event.line ?? (isEnd(event) ? "the peer has finished" : null));
    }
    case "shutdown":
      return ended(`${INDENT}shutdown(${event.fd}, SHUT_${event.how})`, event.result);
    case "reset":
      return ended(`${INDENT}setsockopt(${event.fd}, SO_LINGER, 0 s)`, event.result);
    case "close":
      return ended(`${INDENT}close(${event.fd})`, event.result);
    case "state":
      return `${INDENT}${event.fd}: ${event.from ?? "none"} -> ${event.to ?? "none"}`;
    case "warning":
      return `${INDENT}warning: ${event.message} (${event.code})`;
  }
}

/** A datagram may be empty; of a stream, nothing is its end. */
function isEnd({ type, call, result: count }: TransferEvent): boolean {
  return type === "recv" && count === 0 && (call === undefined || call === "read");
}

/** Whether `formatEvent` has a line for it. */
export function hasLine({ type }: TraceEvent): boolean {
  return type !== "begin" && type !== "iteration";
}

/** `epoll_wait(4, 1000) = [(5, EPOLLIN)]` */
export function waitCall(
  { epfd, timeoutMs, result: count, events }: WaitEvent,
  { isNumeric }: TextOptions = {},
): string {
  const list = events.map(([fd, mask]) => `(${fd}, ${isNumeric ? mask : formatMask(mask)})`).join(", ");
  return `epoll_wait(${epfd}, ${timeoutMs}) = ${count < 0 ? result(count) : `[${list}]`}`;
}

/** `127.0.0.1:51514`, `[::1]:51514`, a path, or who has none. */
export function formatPeer(address: Address): string {
  if ("path" in address) return address.path === "" ? "(unix)" : JSON.stringify(address.path);
  return formatEndpoint(address.address, address.port);
}

function ended(call: string, value: number): string {
  return value < 0 ? `${call} = ${result(value)}` : call;
}

/** As strace has it: `-1 EAGAIN`. */
function result(value: number): string {
  return value < 0 ? `-1 ${errnoName(-value)}` : String(value);
}

function noted(line: string, note: string | null | undefined): string {
  return note ? `${line.padEnd(NOTE_COLUMN)} ${note}` : line;
}

function escaped(byte: string): string {
  return `\\u00${byte.charCodeAt(0).toString(16)}`;
}
