// Traces in the Trace Event Format of Chrome, which Perfetto and chrome://tracing open: one lane for each fd.

import { errnoName } from "../kernel/errno.ts";
import { escapeControls } from "../kernel/escape-controls.ts";
import { formatMask } from "../kernel/format-mask.ts";
import type { OpenEvent, TraceEvent, WaitEvent } from "../trace/events.ts";
import { type FdKey, fdKey, fdOfKey, pidOfKey } from "../trace/fd-key.ts";
import { formatEvent, formatPeer } from "../trace/format.ts";

/** Times are in microseconds. `tid`, the thread, is the fd of the lane. */
interface ChromeMoment {
  name: string;
  pid: number;
  tid: number;
  ts: number;
  args?: Readonly<Record<string, unknown>>;
}

interface ChromePeriod extends ChromeMoment {
  ph: "X";
  cat: string;
  dur: number;
}

/** `X`: a period; `i`: an instant; `C`: a counter; `M`: the name of a process or lane. */
type ChromeEvent =
  | ChromePeriod
  | (ChromeMoment & { ph: "i"; cat: string; s: "t" | "p" })
  | (ChromeMoment & { ph: "C" })
  | (ChromeMoment & { ph: "M" });

/**
 * Converts a trace, event by event.
 *
 * @returns the lines of a JSON document
 * @see https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
export function* toChromeTrace(events: Iterable<TraceEvent>): Generator<string, void, undefined> {
  const converter = new ChromeConverter();
  yield '{"displayTimeUnit":"ns","traceEvents":[';
  let isFirst = true;
  for (const event of events) {
    for (const converted of converter.convert(event)) {
      yield `${isFirst ? "" : ","}${JSON.stringify(converted)}`;
      isFirst = false;
    }
  }
  yield "]}";
}

/** The lane of a thread that has waited without an epoll instance, as with poll(2). Fds have smaller numbers. */
const THREAD_LANES = 2 ** 31;

class ChromeConverter {
  /** The process of the event that is being converted. */
  #pid = 0;
  /** The same; undefined in a trace of one process that has no pids. */
  #eventPid: number | undefined;
  readonly #processes = new Set<number>();
  /** By fd and process, as are the lanes. */
  readonly #open = new Set<FdKey>();
  /** The names of the lanes. */
  readonly #lanes = new Map<FdKey, string>();
  /** The last wait of each thread. */
  readonly #waits = new Map<number | undefined, TraceEvent & WaitEvent>();
  /** The thread of the event that is being converted. */
  #tid: number | undefined;
  /** When the last period of each lane ends. */
  readonly #busyUntil = new Map<FdKey, number>();

  *convert(event: TraceEvent): Generator<ChromeEvent, void, undefined> {
    this.#tid = event.tid;
    this.#eventPid = event.pid;
    if (event.type !== "begin" && event.pid !== undefined) {
      this.#pid = event.pid;
      if (!this.#processes.has(event.pid)) {
        this.#processes.add(event.pid);
        yield this.#metadata("process_name", 0, { name: `process ${event.pid}` });
      }
    }
    switch (event.type) {
      case "begin":
        this.#pid = event.pid;
        this.#processes.add(event.pid);
        yield this.#metadata("process_name", 0, { name: `epoll-hello ${event.pid}` });
        return;
      case "dropped":
        yield this.#instant(event, 0, "p", "dropped events", {});
        return;
      case "wait":
        yield* this.#convertWait(event);
        return;
      case "iteration":
        yield* this.#convertIteration(event);
        return;
      case "warning":
        if (event.updates !== undefined) return; // the number of occurrences so far
        yield this.#instant(event, event.fd ?? this.#waitLane, "p", `warning: ${event.code}`, {
          message: event.message,
        });
        return;
      case "create":
        if (event.result < 0) return;
        yield* this.#openFd(event.result, event.us);
        yield* this.#nameLane(event.result, "epoll");
        return;
      case "open":
        if (event.result < 0) return;
        yield* this.#openFd(event.result, event.us);
        yield* this.#nameLane(event.result, escapeControls(nameOfOpened(event)));
        return;
      case "process":
        yield this.#instant(event, 0, "p", formatEvent(event)?.trim() ?? event.what, {});
        return;
      case "call":
        yield this.#instant(event, event.fd ?? this.#waitLane, "t", event.call, { result: event.result });
        return;
      case "listen":
        yield* this.#openFd(event.fd, event.us);
        yield* this.#nameLane(event.fd, `listener ${formatPeer(event.address)}`);
        return;
      case "state":
        yield this.#instant(event, event.fd, "t", `${event.from ?? "none"} -> ${event.to ?? "none"}`, {});
        return;
      case "frame":
        yield this.#instant(event, event.fd, "t", formatEvent(event)?.trim() ?? event.type, {});
        return;
      default:
        if ("fd" in event) yield* this.#convertCall(event);
    }
  }

  *#convertCall(event: Extract<TraceEvent, { result: number; fd: number }>): Generator<ChromeEvent, void, undefined> {
    const { type, fd, result, us } = event;
    const text = formatEvent(event)?.trim() ?? type;
    const name = "call" in event && event.call !== undefined ? event.call : CALL_NAMES[type as keyof typeof CALL_NAMES];
    const failure = result < 0 ? ` ${errnoName(-result)}` : "";
    yield this.#instant(event, fd, "t", `${name}${failure}`, {
      text,
      result,
      ...("line" in event && event.line !== undefined ? { line: event.line } : {}),
      ...(event.at === undefined ? {} : { at: event.at }),
    });
    if (type === "accept" && result >= 0) {
      yield* this.#openFd(result, us);
      yield* this.#nameLane(result, "connections");
      const peer = event.peer === null ? "" : ` ${formatPeer(event.peer)}`;
      yield this.#instant(event, result, "t", `accepted${peer}`, {});
    } else if (type === "close" && this.#open.delete(this.#key(fd))) {
      yield this.#counter(us, "open fds", this.#countOpen());
    } else if (type === "connect") {
      yield* this.#openFd(fd, us);
      yield* this.#nameLane(fd, "connections");
    }
  }

  *#convertWait(event: TraceEvent & WaitEvent): Generator<ChromeEvent, void, undefined> {
    const { epfd, us, blockedUs, events, timeoutMs, result, iteration, awayUs } = event;
    this.#waits.set(this.#tid, event);
    if (epfd >= 0) {
      yield* this.#openFd(epfd, us);
      yield* this.#nameLane(epfd, "epoll");
    } else {
      yield* this.#nameLane(this.#waitLane, event.call ?? "wait");
    }
    const lane = this.#waitLane;
    const startUs = us - blockedUs;
    if (awayUs !== undefined) yield this.#period(lane, startUs - awayUs, startUs, "loop", "Bun's event loop", {});
    yield this.#period(lane, startUs, us, "wait", event.call ?? "epoll_wait", {
      iteration,
      timeoutMs,
      result: result < 0 ? errnoName(-result) : result,
      ready: events.map(([fd, mask]) => `${fd}: ${formatMask(mask)}`),
    });
    yield this.#counter(us, "ready", Math.max(0, result));
  }

  *#convertIteration({
    iteration,
    us,
    workedUs,
    dispatches,
  }: Extract<TraceEvent, { type: "iteration" }>): Generator<ChromeEvent, void, undefined> {
    const wait = this.#waits.get(this.#tid);
    const [firstLane = 0] = this.#lanes.keys();
    const tid = wait === undefined ? fdOfKey(firstLane) : this.#waitLane;
    const name = wait === undefined ? "setup" : `iteration ${iteration}`;
    const whole = this.#period(tid, us - workedUs, us, "loop", name, {});
    yield whole;
    let startUs = whole.ts;
    for (const [fd, dispatchUs] of dispatches) {
      const endUs = Math.min(us, startUs + dispatchUs);
      const mask = this.#maskOf(fd);
      if (!this.#lanes.has(this.#key(fd))) yield* this.#nameLane(fd, "");
      yield this.#period(fd, startUs, endUs, "dispatch", mask === "" ? "dispatch" : `dispatch ${mask}`, { iteration });
      startUs = endUs;
    }
  }

  #maskOf(fd: number): string {
    const ready = this.#waits.get(this.#tid)?.events.find(([one]) => one === fd);
    return ready === undefined ? "" : formatMask(ready[1]);
  }

  *#openFd(fd: number, us: number): Generator<ChromeEvent, void, undefined> {
    const key = this.#key(fd);
    if (this.#open.has(key)) return;
    this.#open.add(key);
    yield this.#counter(us, "open fds", this.#countOpen());
  }

  /** The lane of the last wait of this thread. */
  get #waitLane(): number {
    const epfd = this.#waits.get(this.#tid)?.epfd ?? 0;
    return epfd >= 0 ? epfd : THREAD_LANES + (this.#tid ?? 0);
  }

  /** The key of an fd of the process whose event is being converted. */
  #key(fd: number): FdKey {
    return fd >= THREAD_LANES ? -fd : fdKey(fd, this.#eventPid);
  }

  #countOpen(): number {
    if (this.#processes.size <= 1) return this.#open.size;
    let count = 0;
    for (const key of this.#open) if (pidOfKey(key) === this.#eventPid) count++;
    return count;
  }

  *#nameLane(fd: number, what: string): Generator<ChromeEvent, void, undefined> {
    const lane = fd >= THREAD_LANES ? `thread ${fd - THREAD_LANES}` : `fd ${fd}`;
    const name = what === "" ? lane : `${lane}: ${what}`;
    const key = this.#key(fd);
    if (this.#lanes.get(key) === name) return;
    this.#lanes.set(key, name);
    yield this.#metadata("thread_name", fd, { name: escapeControls(name) });
    yield this.#metadata("thread_sort_index", fd, { sort_index: what === "epoll" ? -1 : fd });
  }

  #metadata(name: string, tid: number, args: Readonly<Record<string, unknown>>): ChromeEvent {
    return { ph: "M", name, pid: this.#pid, tid, ts: 0, args };
  }

  #counter(ts: number, name: string, value: number): ChromeEvent {
    return { ph: "C", name, pid: this.#pid, tid: 0, ts, args: { [name]: value } };
  }

  /** The periods of a lane must not overlap, and those of a trace do by the time it takes to report an event. */
  #period(
    tid: number,
    fromUs: number,
    toUs: number,
    cat: string,
    name: string,
    args: Readonly<Record<string, unknown>>,
  ): ChromePeriod {
    const isNested = cat === "dispatch" && tid === this.#waitLane; // it is part of its iteration
    const ts = rounded(Math.max(isNested ? 0 : (this.#busyUntil.get(this.#key(tid)) ?? 0), fromUs));
    const dur = rounded(Math.max(0, toUs - ts));
    if (!isNested) this.#busyUntil.set(this.#key(tid), ts + dur);
    return { ph: "X", name, cat, pid: this.#pid, tid, ts, dur, args };
  }

  #instant(
    { us, type, seq }: TraceEvent,
    tid: number,
    s: "t" | "p",
    name: string,
    args: Readonly<Record<string, unknown>>,
  ): ChromeEvent {
    return { ph: "i", name: escapeControls(name), cat: type, pid: this.#pid, tid, ts: us, s, args: { seq, ...args } };
  }
}

function nameOfOpened({ kind, file, call, address }: OpenEvent): string {
  const what = kind === undefined || kind === "other" ? (file ?? call) : kind;
  return address === undefined ? what : `${what} ${formatPeer(address)}`;
}

const CALL_NAMES = {
  accept: "accept4",
  bind: "bind",
  close: "close",
  connect: "connect",
  ctl: "epoll_ctl",
  recv: "recv",
  reset: "setsockopt",
  send: "send",
  shutdown: "shutdown",
} as const;

/** Removes the digits of binary fractions: times have a tenth of a microsecond. */
function rounded(us: number): number {
  return Math.round(us * 10) / 10;
}
