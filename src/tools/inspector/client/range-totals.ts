// Totals of a range of events: how many there are, the bytes transferred, and the time that the loop was busy or idle.

import type { TraceEvent } from "../../../trace/events.ts";
import { type FdKey, fdKey } from "../../../trace/fd-key.ts";
import { hasBlocked } from "../../has-blocked.ts";
import type { EventHistory } from "./event-history.ts";

export interface FdTotals {
  /** The fd, and its process. */
  key: FdKey;
  events: number;
  bytesIn: number;
  bytesOut: number;
  /** The time spent on the fd. */
  busyUs: number;
}

export interface RangeTotals {
  /** Events that have a line. */
  events: number;
  /** Events that the history lacks. If there are any, the other totals are too low. */
  omitted: number;
  waits: number;
  /** Waits that returned no events. */
  emptyWaits: number;
  accepted: number;
  closed: number;
  failed: number;
  warnings: number;
  bytesIn: number;
  bytesOut: number;
  durationUs: number;
  /** The time blocked in epoll_wait, or in Bun's event loop. */
  idleUs: number;
  /** The rest of the time. */
  busyUs: number;
  /** By fd, the ones with the most time first. */
  fds: FdTotals[];
}

/** Returns the totals of the events at positions from `from` to `to`, both included. */
export function totalsOf(history: EventHistory, from: number, to: number): RangeTotals {
  const startUs = history.event(Math.max(from, history.start))?.us ?? 0;
  const endUs = history.event(Math.min(to, history.end - 1))?.us ?? startUs;
  const totals: RangeTotals = {
    events: 0,
    omitted: 0,
    waits: 0,
    emptyWaits: 0,
    accepted: 0,
    closed: 0,
    failed: 0,
    warnings: 0,
    bytesIn: 0,
    bytesOut: 0,
    durationUs: endUs - startUs,
    idleUs: 0,
    busyUs: 0,
    fds: [],
  };
  const byFd = new Map<FdKey, FdTotals>();
  const fdTotals = (key: FdKey): FdTotals => {
    let found = byFd.get(key);
    if (found === undefined) byFd.set(key, (found = { key, events: 0, bytesIn: 0, bytesOut: 0, busyUs: 0 }));
    return found;
  };
  history.forEach(from, to + 1, (event, position, omitted) => {
    if (position > from) totals.omitted += omitted;
    add(totals, fdTotals, event, startUs);
  });
  totals.idleUs = Math.min(totals.idleUs, totals.durationUs);
  totals.busyUs = totals.durationUs - totals.idleUs;
  totals.fds = [...byFd.values()].sort((a, b) => b.busyUs - a.busyUs || b.events - a.events || a.key - b.key);
  return totals;
}

function add(totals: RangeTotals, totalsOfKey: (key: FdKey) => FdTotals, event: TraceEvent, startUs: number): void {
  const fdTotals = (fd: number): FdTotals => totalsOfKey(fdKey(fd, event.pid));
  if (event.type === "begin") return;
  if (event.type === "iteration") {
    for (const [fd, us] of event.dispatches) fdTotals(fd).busyUs += us;
    return;
  }
  totals.events++;
  if (isFailure(event)) totals.failed++;
  switch (event.type) {
    case "wait": {
      totals.waits++;
      if (event.result === 0) totals.emptyWaits++;
      const waitedUs = (hasBlocked(event) ? event.blockedUs : 0) + (event.awayUs ?? 0);
      totals.idleUs += Math.min(waitedUs, event.us - startUs); // only the part within the range
      return;
    }
    case "accept":
      if (event.result >= 0) {
        totals.accepted++;
        fdTotals(event.result).events++;
      } else {
        fdTotals(event.fd).events++;
      }
      return;
    case "create":
    case "open":
    case "process":
      return;
    case "recv":
      if (event.result > 0) {
        totals.bytesIn += event.result;
        fdTotals(event.fd).bytesIn += event.result;
      }
      break;
    case "send":
      if (event.result > 0) {
        totals.bytesOut += event.result;
        fdTotals(event.fd).bytesOut += event.result;
      }
      break;
    case "close":
      totals.closed++;
      break;
    case "warning":
      totals.warnings++;
      break;
    case "dropped":
      return;
    default:
  }
  if ("fd" in event && event.fd !== null && event.fd !== undefined) fdTotals(event.fd).events++;
}

/** Results that are part of normal operation of non-blocking sockets, by errno. */
const EXPECTED_ERRNOS: ReadonlySet<number> = new Set([4, 11, 115]); // EINTR, EAGAIN, EINPROGRESS

/** Returns whether a system call failed with an error that is not part of normal operation. */
export function isFailure(event: TraceEvent): boolean {
  return "result" in event && event.result !== undefined && event.result < 0 && !EXPECTED_ERRNOS.has(-event.result);
}
