// Filters for events: a query such as `fd:7 type:recv,send -errno:EAGAIN "GET /"`, as the search box of the page accepts it.

import { errnoName } from "../../../kernel/errno.ts";
import { formatMask } from "../../../kernel/format-mask.ts";
import type { TraceEvent } from "../../../trace/events.ts";
import { type FdKey, fdKey, fdOfKey, pidOfKey } from "../../../trace/fd-key.ts";
import { formatEvent, formatPeer } from "../../../trace/format.ts";
import { EVENT_TYPES } from "../../breakpoint-values.ts";
import { type FdEntry, keyOfEntry } from "../../debugger/fd-table.ts";
import { concerns } from "../../debugger/concerns.ts";

export interface EventFilter {
  /** Returns whether an event matches. Must be called for all events, in order: `conn` follows a connection to its end. */
  matches(event: TraceEvent): boolean;
  /** What is wrong with the query; undefined if it is valid. An invalid term matches everything. */
  error: string | undefined;
}

type Predicate = (event: TraceEvent) => boolean;

/** The keys of a query, with examples. */
export const FILTER_KEYS: readonly { key: string; example: string; meaning: string }[] = [
  { key: "fd", example: "fd:7,9", meaning: "concerns one of these fds" },
  { key: "pid", example: "pid:4711", meaning: "a call of this process" },
  { key: "tid", example: "tid:4713", meaning: "a call of this thread" },
  { key: "type", example: "type:recv,send", meaning: "an event type, or the name of a system call" },
  { key: "errno", example: "errno:EAGAIN", meaning: "a call that failed; * is any error" },
  { key: "mask", example: "mask:EPOLLHUP", meaning: "a mask reported or registered" },
  { key: "state", example: "state:body", meaning: "a change to or from a connection state" },
  { key: "peer", example: "peer:51514", meaning: "the connection with this address or port" },
  {
    key: "conn",
    example: "conn:7@120",
    meaning: "fd 7 from event 120 until it is closed; of process 4711: conn:4711:7@120",
  },
  { key: "iteration", example: "iteration:12", meaning: "an iteration of the loop" },
  { key: "code", example: "code:busy-loop", meaning: "a warning code" },
];

/** Splits at spaces, except within double quotes. */
const TERM = /(-?)(?:([a-z]+):(?:"([^"]*)"?|(\S*))|"([^"]*)"?|(\S+))/gi;

/**
 * Parses a query. All terms must match; a `-` before a term negates it; words without a key search the text of the event.
 *
 * @param open the fds that are open before the first event
 */
export function parseFilter(query: string, open: readonly FdEntry[] = []): EventFilter {
  const predicates: Predicate[] = [];
  let error: string | undefined;
  for (const [, sign = "", key, quotedValue, plainValue, quotedText, word] of query.matchAll(TERM)) {
    const value = quotedValue ?? plainValue ?? quotedText ?? word ?? "";
    if (value === "" && key === undefined) continue;
    const parsed = key === undefined ? textPredicate(value) : keyPredicate(key.toLowerCase(), value, open);
    if (typeof parsed === "string") error ??= parsed;
    else predicates.push(sign === "-" ? (event) => !parsed(event) : parsed);
  }
  return {
    error,
    // Every predicate sees every event, because some have a state.
    matches: (event) => predicates.reduce((all, predicate) => predicate(event) && all, true),
  };
}

/** Returns a predicate, or what is wrong with the value. */
function keyPredicate(key: string, value: string, open: readonly FdEntry[]): Predicate | string {
  const values = value.split(",").filter((one) => one !== "");
  const isOneOf = (text: string | null | undefined): boolean =>
    text !== null && text !== undefined && values.some((one) => one.toLowerCase() === text.toLowerCase());
  if (values.length === 0) return `${key}: needs a value`;
  switch (key) {
    case "fd":
    case "pid":
    case "tid":
    case "iteration": {
      const numbers = values.map(Number);
      if (!numbers.every(Number.isSafeInteger)) return `${key}:${value} is not a number`;
      if (key === "iteration") return ({ iteration }) => numbers.includes(iteration);
      if (key === "pid") return ({ pid }) => pid !== undefined && numbers.includes(pid);
      if (key === "tid") return ({ tid }) => tid !== undefined && numbers.includes(tid);
      return (event) => numbers.some((fd) => concerns(event, fd));
    }
    case "type": {
      const names = values.map((one) => SYSTEM_CALLS[one.toLowerCase()] ?? one.toLowerCase());
      const unknown = names.find((name) => !(EVENT_TYPES as string[]).includes(name) && !TRANSFER_CALLS.has(name));
      if (unknown !== undefined) return `${unknown} is not an event type: ${EVENT_TYPES.join(", ")}`;
      return (event) =>
        names.includes(event.type) ||
        ("call" in event && names.includes(event.call ?? "")) ||
        (event.type === "reset" && names.includes("setsockopt"));
    }
    case "errno":
      return (event) =>
        "result" in event &&
        event.result !== undefined &&
        event.result < 0 &&
        (value === "*" || isOneOf(errnoName(-event.result)));
    case "mask":
      return (event) => {
        const masks =
          event.type === "wait" ? event.events.map(([, mask]) => mask) : "mask" in event ? [event.mask] : [];
        return masks.some((mask) =>
          formatMask(mask ?? 0)
            .split("|")
            .some((name) => isOneOf(name) || isOneOf(name.replace("EPOLL", ""))),
        );
      };
    case "state":
      return (event) => event.type === "state" && (isOneOf(event.to) || isOneOf(event.from));
    case "code":
      return (event) => event.type === "warning" && (value === "*" || isOneOf(event.code));
    case "peer":
      return peerPredicate(value, open);
    case "conn":
      return connectionPredicate(value) ?? `conn:${value} is not FD@EVENT, such as conn:7@120`;
    default:
      return `${key} is not a key: ${FILTER_KEYS.map(({ key }) => key).join(", ")}`;
  }
}

const SYSTEM_CALLS: Record<string, string> = {
  epoll_wait: "wait",
  epoll_create: "create",
  epoll_pwait2: "wait",
  epoll_ctl: "ctl",
  epoll_create1: "create",
  accept4: "accept",
};
/** Calls that events name in their field `call`. */
const TRANSFER_CALLS: ReadonlySet<string> = new Set(
  (
    "accept epoll_pwait fcntl ioctl poll ppoll pread64 preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readv recvfrom " +
    "recvmmsg recvmsg select sendfile sendmmsg sendmsg sendto setsockopt socket splice write writev"
  ).split(" "),
);

function textPredicate(text: string): Predicate {
  const lower = text.toLowerCase();
  return (event) => (formatEvent(event) ?? "").toLowerCase().includes(lower);
}

/** Matches the events of the connections whose peer address contains the text, from accept or connect to close. */
function peerPredicate(text: string, open: readonly FdEntry[]): Predicate {
  const isPeer = ({ kind, address }: FdEntry): boolean =>
    kind === "connection" && address !== undefined && formatPeer(address).includes(text);
  const fds = new Set<FdKey>(open.filter(isPeer).map(keyOfEntry));
  return (event) => {
    if (event.type === "accept" && event.peer !== null && event.result >= 0) {
      const key = fdKey(event.result, event.pid);
      if (formatPeer(event.peer).includes(text)) fds.add(key);
      else fds.delete(key);
    } else if (event.type === "connect" && formatPeer(event.address).includes(text)) {
      fds.add(fdKey(event.fd, event.pid));
    }
    const isMatch = [...fds].some((key) => concerns(event, fdOfKey(key), pidOfKey(key)));
    if (event.type === "close") fds.delete(fdKey(event.fd, event.pid));
    return isMatch;
  };
}

/** Matches the events of an fd from an event on until the fd is closed, so that a reuse of its number is not included. */
function connectionPredicate(value: string): Predicate | undefined {
  const [, process, number, start] = /^(?:(\d+):)?(\d+)@(\d+)$/.exec(value) ?? [];
  if (number === undefined || start === undefined) return undefined;
  const pid = process === undefined ? undefined : Number(process);
  const [fd, first] = [Number(number), Number(start)];
  let closedSeq = Infinity;
  return (event) => {
    if (event.seq < first || event.seq > closedSeq || !concerns(event, fd, pid)) return false;
    if (event.type === "close") closedSeq = event.seq;
    return true;
  };
}
