// Trace events as text: one line for each event, similar to strace(1), with masks by name.

import { type Address, formatAddress } from "../kernel/address.ts";
import { invalidType } from "../kernel/errors.ts";
import { escapeControls } from "../kernel/escape-controls.ts";
import { formatMask } from "../kernel/format-mask.ts";
import { errnoName } from "../kernel/errno.ts";
import type {
  CallEvent,
  FrameEvent,
  OpenEvent,
  OptionEvent,
  ProcessEvent,
  TraceEvent,
  TraceMoment,
  TransferEvent,
  WaitEvent,
  WarningEvent,
} from "./events.ts";
import { findProblem } from "./validate-event.ts";

/** Options of `formatEvent`. */
export interface TextOptions {
  /** Print masks as numbers, `[(5, 1)]`, instead of names; default: false. */
  isNumeric?: boolean | undefined;
  /** Begin the line with the process and thread of the call, as `[4711]` or `[4711.4713]`; default: false. */
  hasOrigin?: boolean | undefined;
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
  return line === undefined ? undefined : escapeControls(options.hasOrigin ? `${originOf(event)}${line}` : line);
}

/** Returns `[4711] ` for a call of a process, `[4711.4713] ` for one of another of its threads, and "" if they are not known. */
function originOf({ pid, tid = pid }: TraceMoment): string {
  if (pid === undefined) return "";
  return tid === pid ? `[${pid}] ` : `[${pid}.${tid}] `;
}

function describe(event: TraceEvent, options: TextOptions): string | undefined {
  switch (event.type) {
    case "begin":
    case "iteration":
      return undefined;
    case "listen":
      return withNote(
        withFailure(
          `${INDENT}listen(${event.fd}${event.backlog === undefined ? "" : `, ${event.backlog}`})`,
          event.result ?? 0,
        ),
        formatPeer(event.address),
      );
    case "create":
      return `${INDENT}${event.call === undefined ? "epoll_create1(EPOLL_CLOEXEC)" : "epoll_create()"} = ${formatResult(event.result)}`;
    case "wait":
      return withNote(`#${event.iteration} ${formatWait(event, options)}`, `+${(event.us / 1e6).toFixed(3)}s`);
    case "ctl": {
      const mask = event.mask === null ? "" : `, ${showMask(event.mask, options)}`;
      return withFailure(`${INDENT}epoll_ctl(${event.epfd}, ${event.op}, ${event.fd}${mask})`, event.result);
    }
    case "accept": {
      const call = `${INDENT}${event.call ?? "accept4"}(${event.fd}) = ${formatResult(event.result)}`;
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
    case "open":
      return `${INDENT}${formatOpen(event)}`;
    case "bind":
      return withNote(withFailure(`${INDENT}bind(${event.fd})`, event.result), formatPeer(event.address));
    case "option":
      return withFailure(`${INDENT}${formatOption(event)}`, event.result);
    case "call":
      return withNote(`${INDENT}${formatCall(event)}`, event.note);
    case "process":
      return `${INDENT}${formatProcess(event)}`;
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

function formatWait({ call, epfd, timeoutMs, result, events, watched }: WaitEvent, options: TextOptions): string {
  const showPairs = (pairs: readonly (readonly [number, number])[]): string => {
    const list = pairs.map(([fd, mask]) => `(${fd}, ${showMask(mask, options)})`).join(", ");
    return epfd < 0 ? list.replaceAll("EPOLL", "POLL") : list; // the bits of poll(2) have the same values
  };
  const waitsOn =
    watched === undefined
      ? String(epfd)
      : watched.length > MAX_WATCHED
        ? `[${showPairs(watched.slice(0, MAX_WATCHED))}, … ${watched.length - MAX_WATCHED} more]`
        : `[${showPairs(watched)}]`;
  return `${call ?? "epoll_wait"}(${waitsOn}, ${timeoutMs}) = ${result < 0 ? formatResult(result) : `[${showPairs(events)}]`}`;
}

/** The maximum number of fds of a poll(2) in a line. */
const MAX_WATCHED = 8;

function formatOpen({ call, result, from, file, address }: OpenEvent): string {
  const note = address !== undefined && result >= 0 ? formatPeer(address) : file;
  if (call === "inherited") return withNote(`fd ${result} is open`, note);
  return withNote(`${call}(${from ?? ""}) = ${formatResult(result)}`, note);
}

function formatOption({ call, fd, name, value }: OptionEvent): string {
  return `${call}(${fd}, ${name}${value === undefined ? "" : `, ${value}`})`;
}

function formatCall({ call, fd, result }: CallEvent): string {
  return `${call}(${fd ?? ""}) = ${formatResult(result)}`;
}

function formatProcess({ what, child, command = "", exitCode, signal }: ProcessEvent): string {
  switch (what) {
    case "start":
      return `started: ${command}`;
    case "attach":
      return `attached: ${command}`;
    case "fork":
      return `fork() = ${child}`;
    case "thread":
      return `created thread ${child}`;
    case "exec":
      return `execve: ${command}`;
    case "exit":
      return signal === undefined ? `exited with code ${exitCode}` : `killed by ${signal}`;
    case "thread-exit":
      return "the thread ended";
    case "detach":
      return "detached: the program goes on";
  }
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
