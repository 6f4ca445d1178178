// class FdLedger: what an inspector shows of every open fd beyond the FdTable, and which fds have changed since it last looked.

import { EAGAIN, EINPROGRESS, EINTR, errnoName } from "../../kernel/errno.ts";
import type { TraceEvent } from "../../trace/events.ts";
import { type FdKey, fdKey, fdOfKey, pidOfKey } from "../../trace/fd-key.ts";
import { type FdEntry, type FdTable, keyOfEntry } from "./fd-table.ts";

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
  closed: FdKey[];
}

/** These results are expected of non-blocking fds. */
const EXPECTED_ERRNOS: ReadonlySet<number> = new Set([EAGAIN, EINPROGRESS, EINTR]);

export class FdLedger {
  readonly #table: FdTable;
  readonly #activities = new Map<FdKey, FdActivity>();
  /** The epoll instances that have been seen. */
  readonly #instances = new Set<FdKey>();
  /** The fds that have changed since the last `takeChanges`; undefined before the first call. */
  #dirty: Set<FdKey> | undefined;
  #isWatched = false;

  /** @param table to which events are applied before they are observed here */
  constructor(table: FdTable) {
    this.#table = table;
  }

  observe(event: TraceEvent): void {
    if (event.type === "accept" || event.type === "create" || event.type === "open") {
      if (event.result >= 0) this.#open(fdKey(event.result, event.pid), event);
      if (event.type === "accept") this.#touch(fdKey(event.fd, event.pid), event);
      if (event.type === "open" && event.kind === "epoll") this.#instances.add(fdKey(event.result, event.pid));
      for (const [fd] of (event.type === "open" && event.interest) || []) this.#touch(fdKey(fd, event.pid), event);
    } else if (event.type === "process") {
      this.#onProcess(event);
    } else if (event.type !== "wait" && "fd" in event && event.fd !== null && event.fd !== undefined) {
      this.#touch(fdKey(event.fd, event.pid), event);
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
    const keys = [...dirty];
    return {
      isComplete: false,
      changed: keys.flatMap((key) => this.#record(key) ?? []),
      closed: keys.filter((key) => this.#record(key) === undefined),
    };
  }

  /** All open fds. */
  get records(): FdRecord[] {
    return this.#table.entries.flatMap((entry) => this.#record(keyOfEntry(entry)) ?? []);
  }

  #record(key: FdKey): FdRecord | undefined {
    const entry = this.#table.entry(fdOfKey(key), pidOfKey(key));
    const activity = this.#activities.get(key);
    if (entry === undefined || activity === undefined) return undefined;
    return { ...activity, entry: { ...entry } };
  }

  #open(key: FdKey, { us }: Pick<TraceEvent, "us">): FdActivity {
    const activity: FdActivity = {
      stateUs: us,
      lastUs: us,
      lastError: undefined,
      line: undefined,
      events: 0,
    };
    this.#activities.set(key, activity);
    this.#dirty?.add(key);
    return activity;
  }

  /** The fds of a process are inherited by a child, and closed at its end. */
  #onProcess({ what, child, pid, us }: Extract<TraceEvent, { type: "process" }>): void {
    if (pid === undefined) return;
    if (what === "fork") {
      for (const key of this.#activities.keys()) {
        if (pidOfKey(key) === pid && child !== undefined) this.#open(fdKey(fdOfKey(key), child), { us });
      }
      for (const key of this.#instances) {
        if (pidOfKey(key) === pid && child !== undefined) this.#instances.add(fdKey(fdOfKey(key), child));
      }
    } else if (what === "exit" || what === "exec" || what === "detach") {
      for (const key of this.#activities.keys()) if (pidOfKey(key) === pid) this.#close(key);
    }
  }

  #touch(key: FdKey, event: TraceEvent): void {
    if (event.type === "close") return this.#close(key);
    if (event.type === "state" && event.to === null) return; // follows the close
    const activity = this.#activities.get(key) ?? this.#open(key, event);
    activity.lastUs = event.us;
    activity.events++;
    this.#dirty?.add(key);
    if ("result" in event && event.result !== undefined && event.result < 0) {
      if (!EXPECTED_ERRNOS.has(-event.result)) activity.lastError = `${event.type} ${errnoName(-event.result)}`;
      return;
    }
    switch (event.type) {
      case "ctl":
        this.#instances.add(fdKey(event.epfd, event.pid));
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

  #close(key: FdKey): void {
    this.#activities.delete(key);
    this.#dirty?.add(key);
    if (!this.#instances.delete(key)) return;
    for (const other of this.#activities.keys()) this.#dirty?.add(other); // each may have lost a registration
  }
}
