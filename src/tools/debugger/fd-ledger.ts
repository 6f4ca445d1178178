// class FdLedger: what an inspector shows of every open fd beyond the FdTable, and which fds have changed since it last looked.

import { EAGAIN, EINPROGRESS, EINTR, errnoName } from "../../kernel/errno.ts";
import type { TraceEvent } from "../../trace/events.ts";
import { type FdEntry, FdTable } from "./fd-table.ts";

/** The activity of an fd since it was opened. */
export interface FdActivity {
  /** When the fd entered its state, in microseconds since the trace began. */
  stateUs: number;
  /** When the last event of the fd happened, in microseconds since the trace began. */
  lastUs: number;
  /** The last call that failed, such as `recv ECONNRESET`. Expected results such as EAGAIN do not count. */
  lastError: string | undefined;
  /** The last start line that was received, such as `GET / HTTP/1.1`. */
  line: string | undefined;
  /** The events of the fd, without waits. */
  events: number;
}

/** An open fd. */
export interface FdRecord extends FdActivity {
  entry: FdEntry;
}

/** What has changed in a ledger. */
export interface FdChanges {
  /** `changed` has all open fds: forget others. */
  isComplete: boolean;
  changed: FdRecord[];
  closed: number[];
}

/** These results are expected of non-blocking fds. */
const EXPECTED_ERRNOS: ReadonlySet<number> = new Set([EAGAIN, EINPROGRESS, EINTR]);

export class FdLedger {
  readonly #table: FdTable;
  readonly #activities = new Map<number, FdActivity>();
  /** The epoll instances that have been seen. */
  readonly #instances = new Set<number>();
  /** The fds that have changed since the last `takeChanges`; undefined before the first call. */
  #dirty: Set<number> | undefined;
  #isWatched = false;

  /** @param table to which events are applied before they are observed here */
  constructor(table: FdTable) {
    this.#table = table;
  }

  observe(event: TraceEvent): void {
    if (event.type === "accept" || event.type === "create") {
      if (event.result >= 0) this.#open(event.result, event);
      if (event.type === "accept") this.#touch(event.fd, event);
    } else if (event.type !== "wait" && "fd" in event && event.fd !== null) {
      this.#touch(event.fd, event);
    }
  }

  /** Sets whether changes are noted. Once they are, the next `takeChanges` returns all open fds. */
  set isWatched(isWatched: boolean) {
    this.#dirty = undefined;
    this.#isWatched = isWatched;
  }

  /** Returns what has changed since the last call; undefined if nothing has. */
  takeChanges(): FdChanges | undefined {
    if (!this.#isWatched) return undefined;
    const dirty = this.#dirty;
    this.#dirty = new Set();
    if (dirty === undefined) return { isComplete: true, changed: this.records, closed: [] };
    if (dirty.size === 0) return undefined;
    const fds = [...dirty];
    return {
      isComplete: false,
      changed: fds.flatMap((fd) => this.#record(fd) ?? []),
      closed: fds.filter((fd) => this.#record(fd) === undefined),
    };
  }

  /** All open fds. */
  get records(): FdRecord[] {
    return this.#table.entries.flatMap(({ fd }) => this.#record(fd) ?? []);
  }

  #record(fd: number): FdRecord | undefined {
    const entry = this.#table.entry(fd);
    const activity = this.#activities.get(fd);
    if (entry === undefined || activity === undefined) return undefined;
    return { ...activity, entry: { ...entry } };
  }

  #open(fd: number, { us }: TraceEvent): FdActivity {
    const activity: FdActivity = {
      stateUs: us,
      lastUs: us,
      lastError: undefined,
      line: undefined,
      events: 0,
    };
    this.#activities.set(fd, activity);
    this.#dirty?.add(fd);
    return activity;
  }

  #touch(fd: number, event: TraceEvent): void {
    if (event.type === "close") return this.#close(fd);
    if (event.type === "state" && event.to === null) return; // follows the close
    const activity = this.#activities.get(fd) ?? this.#open(fd, event);
    activity.lastUs = event.us;
    activity.events++;
    this.#dirty?.add(fd);
    if ("result" in event && event.result < 0) {
      if (!EXPECTED_ERRNOS.has(-event.result)) activity.lastError = `${event.type} ${errnoName(-event.result)}`;
      return;
    }
    switch (event.type) {
      case "ctl":
        this.#instances.add(event.epfd);
        return;
      case "state":
        activity.stateUs = event.us;
        return;
      case "recv":
        if (event.line !== undefined) activity.line = event.line;
        return;
      default:
    }
  }

  #close(fd: number): void {
    this.#activities.delete(fd);
    this.#dirty?.add(fd);
    if (!this.#instances.delete(fd)) return;
    for (const other of this.#activities.keys()) this.#dirty?.add(other); // each may have lost a registration
  }
}
