// class TraceSummary: the totals of a trace, like those of `strace -c`.

import { escapeControls } from "../kernel/escape-controls.ts";
import type { ProcessEvent, TraceEvent, TraceMoment, WaitEvent } from "../trace/events.ts";
import { type FdKey, fdKey, fdOfKey, pidOfKey } from "../trace/fd-key.ts";
import { formatPeer } from "../trace/format.ts";
import { hasBlocked } from "./has-blocked.ts";
import { formatTable } from "./table.ts";

interface CallTotals {
  calls: number;
  errors: number;
  bytes: number;
  /** The time in the calls, if it is known. */
  us: number;
}

/** An fd, or all fds of the same kind that are connections of one listener. */
interface FdTotals {
  /** What it is, such as `listener 127.0.0.1:8800`. */
  what: string;
  /** How many fds these are. */
  fds: number;
  calls: number;
  errors: number;
  bytesIn: number;
  bytesOut: number;
  /** The time in calls on it, if it is known. */
  us: number;
  /** The time in which it was handled: from its first call in an iteration to the first one of another fd. */
  handledUs: number;
}

/** The most fds that are listed. */
const MAX_FDS = 20;

export class TraceSummary {
  readonly #calls = new Map<string, CallTotals>();
  /** The bugs that have been reported, by the `seq` of the first report, and how often each has occurred. */
  readonly #warnings = new Map<number, { code: string; count: number }>();
  #emptyWaits = 0;
  #waitUs = 0;
  #awayUs = 0;
  #workUs = 0;
  #dropped = 0;
  #lastUs = 0;
  #idleUs = 0;
  /** The number of waits by the number of ready fds: of 0, of 1, of 2 and 3, of 4 to 7, and so on. */
  readonly #readyCounts: number[] = [];
  /** By fd and process. Those that are open, and those that were. */
  readonly #open = new Map<FdKey, FdTotals>();
  readonly #closed = new Map<string, FdTotals>();
  /** Where the totals of the fds are that were closed in this iteration. */
  readonly #lastClosed = new Map<FdKey, FdTotals>();
  readonly #pids = new Set<number>();
  readonly #tids = new Set<number>();

  add(event: TraceEvent): void {
    this.#lastUs = event.us;
    if (event.pid !== undefined) this.#pids.add(event.pid);
    if (event.tid !== undefined) this.#tids.add(event.tid);
    this.#addToFd(event);
    switch (event.type) {
      case "wait":
        this.#countReady(event);
        if (event.result === 0) this.#emptyWaits++;
        this.#waitUs += event.blockedUs;
        this.#awayUs += event.awayUs ?? 0;
        break;
      case "iteration":
        this.#workUs += event.workedUs;
        return;
      case "warning":
        this.#warnings.set(event.updates ?? event.seq, { code: event.code, count: event.count ?? 1 });
        return;
      case "dropped":
        this.#dropped += event.events;
        return;
      default:
    }
    const name = callOf(event);
    if (name === undefined || !("result" in event || event.type === "listen")) return;
    let totals = this.#calls.get(name);
    if (totals === undefined) this.#calls.set(name, (totals = { calls: 0, errors: 0, bytes: 0, us: 0 }));
    totals.calls++;
    totals.us += timeOf(event);
    if ((event.result ?? 0) < 0) totals.errors++;
    else if (event.type === "recv" || event.type === "send") totals.bytes += event.result;
  }

  /** Returns the tables of --summary: by system call, by fd, and of the waits. */
  formatDetails(): string[] {
    return [...this.#formatCalls(), "", ...this.#formatFds(), "", ...this.#formatWaits(), ...this.#formatEnd()];
  }

  #formatCalls(): string[] {
    const calls = [...this.#calls].toSorted(([, a], [, b]) => b.us - a.us || b.calls - a.calls);
    const wholeUs = calls.reduce((sum, [, { us }]) => sum + us, 0);
    const rows = calls.map(([name, { calls: count, errors, bytes, us }]) => [
      us === 0 ? "" : ((100 * us) / wholeUs).toFixed(2),
      us === 0 ? "" : (us / 1e6).toFixed(6),
      us === 0 ? "" : String(Math.round(us / count)),
      show(count),
      errors === 0 ? "" : show(errors),
      bytes === 0 ? "" : show(bytes),
      name,
    ]);
    const head = ["% time", "seconds", "µs/call", "calls", "errors", "bytes", "system call"];
    return formatTable([head, ...rows], { alignRight: [0, 1, 2, 3, 4, 5] });
  }

  #formatFds(): string[] {
    const all = new Map(this.#closed);
    for (const [key, totals] of this.#open) addTotals(all, nameOf(key, totals, this.#pids.size > 1), totals);
    const used = [...all].filter(([, { calls, handledUs }]) => calls > 0 || handledUs > 0);
    const fds = used.toSorted(([, a], [, b]) => b.handledUs + b.us - (a.handledUs + a.us) || b.calls - a.calls);
    const rows = fds
      .slice(0, MAX_FDS)
      .map(([name, totals]) => [
        totals.handledUs === 0 ? "" : (totals.handledUs / 1e6).toFixed(6),
        totals.us === 0 ? "" : (totals.us / 1e6).toFixed(6),
        show(totals.calls),
        totals.errors === 0 ? "" : show(totals.errors),
        totals.bytesIn === 0 ? "" : show(totals.bytesIn),
        totals.bytesOut === 0 ? "" : show(totals.bytesOut),
        totals.fds > 1 ? `${show(totals.fds)} fds: ${name}` : name,
      ]);
    const head = ["handled s", "in calls s", "calls", "errors", "received", "sent", "fd"];
    const rest = fds.length - rows.length;
    return [
      ...formatTable([head, ...rows], { alignRight: [0, 1, 2, 3, 4, 5] }),
      ...(rest > 0 ? [`and ${show(rest)} more`] : []),
    ];
  }

  #formatWaits(): string[] {
    const waits = this.#readyCounts.reduce((sum, count) => sum + (count ?? 0), 0);
    if (waits === 0) return [`${seconds(this.#lastUs)} without a wait`];
    const classes = this.#readyCounts.flatMap((count, i) => {
      if (!count) return [];
      const [from, to] = i === 0 ? [0, 0] : [2 ** (i - 1), 2 ** i - 1];
      return [`${from === to ? from : `${from}–${to}`}: ${show(count)}`];
    });
    const threads = this.#tids.size;
    const whole = this.#lastUs * Math.max(1, threads);
    const share =
      whole === 0
        ? ""
        : ` (${((100 * this.#idleUs) / whole).toFixed(1)} %${threads > 1 ? ` of ${threads} threads` : ""})`;
    return [
      `${show(waits)} waits, by the number of ready fds: ${classes.join(", ")}`,
      `${seconds(this.#lastUs)}: ${seconds(this.#idleUs)} idle in waits${share}, ${seconds(this.#workUs)} between waits`,
    ];
  }

  #formatEnd(): string[] {
    const warnings = [...Map.groupBy(this.#warnings.values(), ({ code }) => code)].map(
      ([code, all]) => `${code} (${show(all.reduce((sum, { count }) => sum + count, 0))})`,
    );
    return [
      ...(warnings.length === 0 ? [] : [`warnings: ${warnings.join(", ")}`]),
      ...(this.#dropped === 0 ? [] : [`not counted: ${show(this.#dropped)} events that were dropped from the trace`]),
    ];
  }

  #countReady(event: TraceMoment & WaitEvent): void {
    const { result, blockedUs } = event;
    const index = result <= 0 ? 0 : 1 + Math.floor(Math.log2(result));
    for (let i = this.#readyCounts.length; i <= index; i++) this.#readyCounts.push(0);
    this.#readyCounts[index] = (this.#readyCounts[index] as number) + 1;
    if (hasBlocked(event)) this.#idleUs += blockedUs;
  }

  #addToFd(event: TraceEvent): void {
    const { pid } = event;
    if (event.type === "iteration") {
      for (const [fd, us] of event.dispatches) {
        const key = fdKey(fd, pid);
        const closed = this.#open.has(key) ? undefined : this.#lastClosed.get(key); // within the iteration
        (closed ?? this.#fd(fd, pid)).handledUs += us;
      }
      this.#lastClosed.clear();
      return;
    }
    const opened = openedBy(event);
    if (opened !== undefined) this.#openFd(fdKey(opened.fd, pid), opened.what);
    if (event.type === "process") return this.#onProcess(event, pid);
    const fd = event.type === "wait" ? event.epfd : "fd" in event ? event.fd : undefined;
    if (fd === undefined || fd === null || fd < 0 || !("result" in event)) return;
    const totals = this.#fd(fd, pid);
    if (event.type === "wait" && totals.what === "") totals.what = "epoll";
    totals.calls++;
    if (event.type !== "wait") totals.us += timeOf(event);
    if ((event.result ?? 0) < 0) totals.errors++;
    else if (event.type === "recv") totals.bytesIn += event.result;
    else if (event.type === "send") totals.bytesOut += event.result;
    else if (event.type === "close") this.#closeFd(fdKey(fd, pid));
  }

  #fd(fd: number, pid: number | undefined): FdTotals {
    const key = fdKey(fd, pid);
    return this.#open.get(key) ?? this.#openFd(key, "");
  }

  #openFd(key: FdKey, what: string): FdTotals {
    const known = this.#open.get(key);
    if (known !== undefined && (known.what === "" || known.what === "socket")) {
      known.what = what || known.what;
      return known;
    }
    if (known !== undefined) this.#closeFd(key);
    const totals = { what, fds: 1, calls: 0, errors: 0, bytesIn: 0, bytesOut: 0, us: 0, handledUs: 0 };
    this.#open.set(key, totals);
    return totals;
  }

  #closeFd(key: FdKey): void {
    const totals = this.#open.get(key);
    if (totals === undefined) return;
    this.#open.delete(key);
    this.#lastClosed.set(key, addTotals(this.#closed, nameOf(key, totals, this.#pids.size > 1), totals));
  }

  #onProcess({ what, child }: ProcessEvent, pid: number | undefined): void {
    for (const [key, { what: kind }] of this.#open) {
      if (pidOfKey(key) !== pid) continue;
      if (what === "fork" && child !== undefined) this.#openFd(fdKey(fdOfKey(key), child), kind);
      else if (what === "exit" || what === "exec") this.#closeFd(key);
    }
  }

  /** Returns a table of the system calls, the most frequent first, and lines about the time and the warnings. */
  format(): string[] {
    const rows = [...this.#calls]
      .toSorted(([, a], [, b]) => b.calls - a.calls)
      .map(([name, { calls, errors, bytes }]) => [
        show(calls),
        errors === 0 ? "" : show(errors),
        bytes === 0 ? "" : show(bytes),
        name,
      ]);
    return [
      ...formatTable([["calls", "errors", "bytes", "system call"], ...rows], { alignRight: [0, 1, 2] }),
      this.#formatTimes(),
      ...this.#formatEnd(),
    ];
  }

  #formatTimes(): string {
    const empty = this.#emptyWaits === 0 ? "" : `, ${show(this.#emptyWaits)} of them without an event`;
    const away = this.#awayUs === 0 ? "" : `, ${seconds(this.#awayUs)} in Bun's event loop`;
    const waits = this.#readyCounts.reduce((sum, count) => sum + count, 0);
    if (waits === 0) return `${seconds(this.#lastUs)} without a wait`;
    return (
      `${seconds(this.#lastUs)}: ${seconds(this.#waitUs)} in ${show(waits)} waits${empty}, ` +
      `${seconds(this.#workUs)} between them${away}`
    );
  }
}

/** Returns the name of the system call; undefined for an event that is none. */
function callOf(event: TraceEvent): string | undefined {
  switch (event.type) {
    case "create":
      return event.call ?? "epoll_create1";
    case "wait":
      return event.call ?? "epoll_wait";
    case "ctl":
      return "epoll_ctl";
    case "accept":
      return event.call ?? "accept4";
    case "open":
      return event.call === "inherited" ? undefined : event.call;
    case "option":
    case "call":
      return event.call;
    case "reset":
      return "setsockopt";
    case "recv":
    case "send":
      return event.call ?? event.type;
    case "bind":
    case "connect":
    case "shutdown":
    case "close":
      return event.type;
    case "listen":
      return event.pid === undefined ? undefined : "listen";
    default:
      return undefined;
  }
}

/** Returns the time that a call took, in microseconds; 0 if it is not known. */
function timeOf(event: TraceEvent): number {
  return event.type === "wait" ? event.blockedUs : (event.tookUs ?? 0);
}

/** Returns the fd that an event shows to be open, and what it is. */
function openedBy(event: TraceEvent): { fd: number; what: string } | undefined {
  switch (event.type) {
    case "create":
      return event.result < 0 ? undefined : { fd: event.result, what: "epoll" };
    case "listen":
      return { fd: event.fd, what: `listener ${formatPeer(event.address)}` };
    case "accept":
      return event.result < 0 ? undefined : { fd: event.result, what: `accepted from fd ${event.fd}` };
    case "connect":
      return { fd: event.fd, what: `connection to ${formatPeer(event.address)}` };
    case "open": {
      if (event.result < 0) return undefined;
      const address = event.address === undefined ? "" : ` ${formatPeer(event.address)}`;
      const kind = event.kind === undefined || event.kind === "other" ? (event.file ?? event.call) : event.kind;
      return { fd: event.result, what: event.call === "socket" ? "socket" : escapeControls(`${kind}${address}`) };
    }
    default:
      return undefined;
  }
}

/** Returns the name under which an fd is listed: the connections of a listener together, others by number. */
function nameOf(key: FdKey, { what }: FdTotals, hasSeveral: boolean): string {
  const process = hasSeveral ? `process ${pidOfKey(key)}, ` : "";
  if (what.startsWith("accepted from")) return `${process}${what}`;
  return `${process}${fdOfKey(key)}${what === "" ? "" : ` ${what}`}`;
}

function addTotals(all: Map<string, FdTotals>, name: string, totals: FdTotals): FdTotals {
  const sum = all.get(name);
  if (sum === undefined) {
    const copy = { ...totals };
    all.set(name, copy);
    return copy;
  }
  for (const field of ["fds", "calls", "errors", "bytesIn", "bytesOut", "us", "handledUs"] as const)
    sum[field] += totals[field];
  return sum;
}

function show(n: number): string {
  return n.toLocaleString("en-US");
}

function seconds(us: number): string {
  return `${(us / 1e6).toFixed(3)} s`;
}
