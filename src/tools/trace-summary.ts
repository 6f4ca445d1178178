// class TraceSummary: the totals of a trace, like those of `strace -c`.

import type { TraceEvent } from "../trace/events.ts";
import { formatTable } from "./table.ts";

interface CallTotals {
  calls: number;
  errors: number;
  bytes: number;
}

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

  add(event: TraceEvent): void {
    this.#lastUs = event.us;
    switch (event.type) {
      case "wait":
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
    if (name === undefined || !("result" in event)) return;
    let totals = this.#calls.get(name);
    if (totals === undefined) this.#calls.set(name, (totals = { calls: 0, errors: 0, bytes: 0 }));
    totals.calls++;
    if (event.result < 0) totals.errors++;
    else if (event.type === "recv" || event.type === "send") totals.bytes += event.result;
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
    const warnings = [...Map.groupBy(this.#warnings.values(), ({ code }) => code)].map(
      ([code, all]) => `${code} (${show(all.reduce((sum, { count }) => sum + count, 0))})`,
    );
    return [
      ...formatTable([["calls", "errors", "bytes", "system call"], ...rows], { alignRight: [0, 1, 2] }),
      this.#formatTimes(),
      ...(warnings.length === 0 ? [] : [`warnings: ${warnings.join(", ")}`]),
      ...(this.#dropped === 0 ? [] : [`not counted: ${show(this.#dropped)} events that were dropped from the trace`]),
    ];
  }

  #formatTimes(): string {
    const empty = this.#emptyWaits === 0 ? "" : `, ${show(this.#emptyWaits)} of them without an event`;
    const away = this.#awayUs === 0 ? "" : `, ${seconds(this.#awayUs)} in Bun's event loop`;
    const waits = this.#calls.get("epoll_wait")?.calls ?? 0;
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
      return "epoll_create1";
    case "wait":
      return "epoll_wait";
    case "ctl":
      return "epoll_ctl";
    case "accept":
      return "accept4";
    case "reset":
      return "setsockopt";
    case "recv":
    case "send":
      return event.call ?? event.type;
    case "connect":
    case "shutdown":
    case "close":
      return event.type;
    default:
      return undefined;
  }
}

function show(n: number): string {
  return n.toLocaleString("en-US");
}

function seconds(us: number): string {
  return `${(us / 1e6).toFixed(3)} s`;
}
