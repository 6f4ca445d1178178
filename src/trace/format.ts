// Trace events as text: one line for each event, similar to strace(1), with masks by name.

import { type Address, formatAddress } from "../kernel/address.ts";
import { invalidType } from "../kernel/errors.ts";
import { escapeControls } from "../kernel/escape-controls.ts";
import { formatMask } from "../kernel/format-mask.ts";
import { errnoName } from "../kernel/errno.ts";
import type { FrameEvent, TraceEvent, TraceMoment, TransferEvent, WaitEvent, WarningEvent } from "./events.ts";
import { findProblem } from "./validate-event.ts";

/** Options of `formatEvent`. */
export interface TextOptions {
  /** Print masks as numbers, `[(5, 1)]`, instead of names; default: false. */
  isNumeric?: boolean | undefined;
}

const INDENT = "      ";
const NOTE_COLUMN = 46;

/**
 * Formats an event as one line, such as `#13 epoll_wait(4, 1000) = [(5, EPOLLIN)]`. Everything but a wait is indented.
 * Control characters are escaped, so that the line can be printed on a terminal.
 *
 * @returns the line, or undefined for the events that have none: `begin` and `iteration`
 * @throws {TypeError} if `event` is not a trace event, or `options` is not an object
 * @example
 * ```ts
 * const trace = (event: TraceEvent) => {
 *   const line = formatEvent(event);
 *   if (line !== undefined) console.log(line);
 * };
 * ```
 */
export function formatEvent(event: TraceEvent, options: TextOptions = {}): string | undefined {
  if (findProblem(event) !== undefined) throw invalidType("event", "a trace event", event);
  if (typeof options !== "object" || options === null) throw invalidType("options", "{ isNumeric }", options);
  const line = describe(event, options);
  return line === undefined ? undefined : escapeControls(line);
}

function describe(event: TraceEvent, options: TextOptions): string | undefined {
  switch (event.type) {
    case "begin":
    case "iteration":
      return undefined;
    case "listen":
      return withNote(`${INDENT}listen(${event.fd})`, formatPeer(event.address));
    case "create":
      return `${INDENT}epoll_create1(EPOLL_CLOEXEC) = ${formatResult(event.result)}`;
    case "wait":
      return withNote(`#${event.iteration} ${formatWait(event, options)}`, `+${(event.us / 1e6).toFixed(3)}s`);
    case "ctl": {
      const mask = event.mask === null ? "" : `, ${showMask(event.mask, options)}`;
      return withFailure(`${INDENT}epoll_ctl(${event.epfd}, ${event.op}, ${event.fd}${mask})`, event.result);
    }
    case "accept": {
      const call = `${INDENT}accept4(${event.fd}) = ${formatResult(event.result)}`;
      return withNote(call, event.peer === null ? undefined : formatPeer(event.peer));
    }
    case "connect":
      return withNote(`${INDENT}connect(${event.fd}) = ${formatResult(event.result)}`, formatPeer(event.address));
    case "recv":
    case "send": {
      const call = `${INDENT}${event.call ?? event.type}(${event.fd}) = ${formatResult(event.result)}`;
      if (event.bytes !== undefined) return `${call} ${quote(event.bytes)}`;
      return withNote(call, event.line ?? (isEndOfStream(event) ? "end of stream" : undefined));
    }
    case "shutdown":
      return withFailure(`${INDENT}shutdown(${event.fd}, SHUT_${event.how})`, event.result);
    case "reset":
      return withFailure(`${INDENT}setsockopt(${event.fd}, SO_LINGER, 0 s)`, event.result);
    case "close":
      return withFailure(`${INDENT}close(${event.fd})`, event.result);
    case "state":
      return `${INDENT}${event.fd}: ${event.from ?? "none"} -> ${event.to ?? "none"}`;
    case "frame":
      return `${INDENT}${event.fd}: ${formatFrame(event)}`;
    case "warning":
      return `${INDENT}warning: ${formatWarning(event)} (${event.code})`;
    case "dropped":
      return `${INDENT}... ${event.events.toLocaleString("en-US")} events dropped, to limit the size of the trace`;
  }
}

/** Returns whether `formatEvent` has a line for the event. */
export function hasLine({ type }: TraceEvent): boolean {
  return type !== "begin" && type !== "iteration";
}

/** Formats an address as `127.0.0.1:51514`, `[::1]:51514`, `"/run/app.sock"`, or `(unix)` for an unnamed socket. */
export function formatPeer(address: Address): string {
  if ("path" in address) return address.path === "" ? "(unix)" : JSON.stringify(address.path);
  return formatAddress(address);
}

function formatWait({ epfd, timeoutMs, result, events }: WaitEvent, options: TextOptions): string {
  const readyList = events.map(([fd, mask]) => `(${fd}, ${showMask(mask, options)})`).join(", ");
  return `epoll_wait(${epfd}, ${timeoutMs}) = ${result < 0 ? formatResult(result) : `[${readyList}]`}`;
}

/** An update is short: its first report has the message. */
function formatWarning({ at, fd, message, count = 1, fds, updates }: WarningEvent & TraceMoment): string {
  const where = at === undefined ? "" : `${at}: `;
  if (fds !== undefined) return `${where}the same for ${fds} fds so far`;
  if (updates === undefined) return `${where}${message}`;
  return `${where}${fd === null ? "" : `fd ${fd}: `}${count} times so far`;
}

function showMask(mask: number, { isNumeric }: TextOptions): string {
  return isNumeric ? String(mask) : formatMask(mask);
}

/** A result of 0 means end of stream. From recvfrom(2) or recvmsg(2), it may also be an empty datagram. */
function isEndOfStream({ type, call, result }: TransferEvent): boolean {
  return type === "recv" && result === 0 && (call === undefined || call === "read");
}

const OPCODES: Readonly<Record<number, string>> = {
  0: "continuation",
  1: "text",
  2: "binary",
  8: "close",
  9: "ping",
  10: "pong",
};

/** Formats a frame as `received text frame, 5 bytes, compressed`. */
function formatFrame({ direction, opcode, fin, length, compressed }: FrameEvent): string {
  const verb = direction === "in" ? "received" : "sent";
  const size = `${length} byte${length === 1 ? "" : "s"}`;
  const notes = `${compressed ? ", compressed" : ""}${fin ? "" : ", more follows"}`;
  return `${verb} ${OPCODES[opcode] ?? `opcode ${opcode}`} frame, ${size}${notes}`;
}

/** As strace(1) prints it: `-1 EAGAIN`. */
function formatResult(result: number): string {
  return result < 0 ? `-1 ${errnoName(-result)}` : String(result);
}

/** Adds the result of a call that returns 0, but only if it failed. */
function withFailure(call: string, result: number): string {
  return result < 0 ? `${call} = ${formatResult(result)}` : call;
}

function withNote(line: string, note: string | undefined): string {
  return note === undefined || note === "" ? line : `${line.padEnd(NOTE_COLUMN)} ${note}`;
}

/** Quotes data for a terminal: only printable ASCII characters are left as they are. */
function quote(bytes: string): string {
  return JSON.stringify(bytes).replace(/[\x7f-\xff]/g, (byte) => `\\u00${byte.charCodeAt(0).toString(16)}`);
}
