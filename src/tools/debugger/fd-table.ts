// class FdTable: the open file descriptors of a traced loop, derived from its events.

import type { Address } from "../../kernel/address.ts";
import type { OpenEvent, ProcessEvent, TraceEvent, TraceMoment } from "../../trace/events.ts";
import { type FdKey, fdKey } from "../../trace/fd-key.ts";

/** A registration of an fd with an epoll instance of the same process. */
export interface EntryRegistration {
  epfd: number;
  mask: number;
}

export interface FdEntry {
  fd: number;
  /** The process; undefined: this one. */
  pid?: number;
  kind: "epoll" | "listener" | "connection" | "other";
  /** The registered mask; undefined if the fd is not registered. If it is registered with several epoll instances: the first one. */
  mask: number | undefined;
  /** The registrations, one for each epoll instance. Never changed in place: copies of an entry share it. */
  registrations: readonly EntryRegistration[];
  /** The state of a connection of EpollServer. */
  state: string | undefined;
  /** The local address of a listener, or the peer of a connection. */
  address: Address | undefined;
  /** Bytes received. */
  bytesIn: number;
  /** Bytes sent. */
  bytesOut: number;
  /** The iteration in which the fd was first seen. */
  sinceIteration: number;
  /** When the fd was first seen, in microseconds since the trace began. */
  sinceUs: number;
}

const NO_REGISTRATIONS: readonly EntryRegistration[] = [];

export class FdTable {
  readonly #entries = new Map<FdKey, FdEntry>();
  #waits = 0;
  /**
   * The epoll instance of the last wait, or if there was none, the last one that was created; -1 if there is none. -1 as well after a
   * wait without an instance, such as poll(2).
   */
  epfd: number = -1;
  /** The process that made the last wait; undefined: this one. */
  pid: number | undefined;
  iteration: number = 0;
  /** The ready list of the last wait. */
  ready: readonly [fd: number, mask: number][] = [];

  apply(event: TraceEvent): void {
    this.iteration = event.iteration;
    switch (event.type) {
      case "create":
        if (event.result < 0) return;
        if (this.entry(this.epfd, this.pid)?.kind !== "epoll" || this.#waits === 0) this.#select(event.result, event);
        this.#add(event.result, "epoll", event);
        return;
      case "listen":
        if ((event.result ?? 0) < 0) return;
        Object.assign(
          event.pid === undefined ? this.#add(event.fd, "listener", event) : this.#findOrAdd(event.fd, event),
          { kind: "listener", address: event.address },
        );
        return;
      case "open":
        if (event.result >= 0) this.#open(event);
        return;
      case "process":
        this.#applyProcess(event);
        return;
      case "accept":
        if (event.result >= 0) this.#add(event.result, "connection", event).address = event.peer ?? undefined;
        return;
      case "connect":
        Object.assign(this.#findOrAdd(event.fd, event), { kind: "connection", address: event.address });
        return;
      case "wait":
        this.#waits++;
        this.#select(event.epfd, event);
        this.ready = event.events;
        if (event.epfd >= 0) this.#findOrAddEpoll(event.epfd, event);
        return;
      case "ctl":
        if (event.result < 0) return;
        this.#findOrAddEpoll(event.epfd, event);
        setRegistration(this.#findOrAdd(event.fd, event), event.epfd, event.mask);
        return;
      case "recv":
        if (event.result > 0) this.#findOrAdd(event.fd, event).bytesIn += event.result;
        return;
      case "send":
        if (event.result > 0) this.#findOrAdd(event.fd, event).bytesOut += event.result;
        return;
      case "state":
        if (this.entry(event.fd, event.pid) !== undefined)
          this.#findOrAdd(event.fd, event).state = event.to ?? undefined;
        return;
      case "close":
        this.#close(event.fd, event.pid);
        return;
      default:
    }
  }

  /** All open fds, ordered by process and number. */
  get entries(): FdEntry[] {
    return [...this.#entries].sort(([a], [b]) => a - b).map(([, entry]) => entry);
  }

  /** The processes that have open fds; none if they are this process's. */
  get pids(): number[] {
    const pids = new Set<number>();
    for (const { pid } of this.#entries.values()) if (pid !== undefined) pids.add(pid);
    return [...pids].sort((a, b) => a - b);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The number of registered fds. */
  get registered(): number {
    let count = 0;
    for (const { mask } of this.#entries.values()) if (mask !== undefined) count++;
    return count;
  }

  /** Returns at most `max` entries: these fds first, then the oldest of the others. Ordered by number. */
  entriesIncluding(keys: ReadonlySet<FdKey>, max: number): FdEntry[] {
    const entries = [...keys].flatMap((key) => this.#entries.get(key) ?? []).slice(0, max);
    for (const [key, entry] of this.#entries) {
      if (entries.length >= max) break;
      if (!keys.has(key)) entries.push(entry);
    }
    return entries.sort((a, b) => keyOfEntry(a) - keyOfEntry(b));
  }

  entry(fd: number, pid?: number | undefined): FdEntry | undefined {
    return this.#entries.get(fdKey(fd, pid));
  }

  /** The epoll instances of the process that made the last wait, ordered by number. */
  get epfds(): number[] {
    return this.entries.flatMap(({ fd, pid, kind }) => (kind === "epoll" && pid === this.pid ? [fd] : []));
  }

  /** Returns the masks registered with an epoll instance of the process that made the last wait, by fd. */
  masksOf(epfd: number): Map<number, number> {
    return new Map(
      this.entries.flatMap(({ fd, pid, registrations }) =>
        registrations.flatMap((one) => (one.epfd === epfd && pid === this.pid ? [[fd, one.mask] as const] : [])),
      ),
    );
  }

  /** Replaces the contents with those of a sample, to which later events can then be applied. */
  restore(
    entries: readonly FdEntry[],
    { epfd, pid, iteration, ready }: Pick<FdTable, "epfd" | "iteration" | "ready"> & { pid?: number | undefined },
  ): void {
    this.#entries.clear();
    for (const entry of entries) this.#entries.set(keyOfEntry(entry), { ...entry });
    this.epfd = epfd;
    this.pid = pid;
    this.iteration = iteration;
    this.ready = ready;
  }

  /** An instance that was opened elsewhere, such as one from `Epoll.fromfd`. */
  #findOrAddEpoll(epfd: number, moment: TraceMoment): void {
    this.#findOrAdd(epfd, moment).kind = "epoll";
  }

  #select(epfd: number, { pid }: TraceMoment): void {
    this.epfd = epfd;
    this.pid = pid;
  }

  #open(event: TraceMoment & OpenEvent): void {
    const { result: fd, kind, from, address, interest, pid } = event;
    const original = from === undefined ? undefined : this.entry(from, pid);
    const shown = kind === "datagram" ? "other" : (kind ?? original?.kind ?? "other");
    const { registrations, mask } = this.entry(fd, pid) ?? {}; // an instance that was open before has it in its list
    const entry = this.#add(fd, shown, event);
    if (event.call === "inherited" && registrations !== undefined) Object.assign(entry, { registrations, mask });
    entry.address = address ?? original?.address;
    for (const [watched, mask] of interest ?? []) setRegistration(this.#findOrAdd(watched, event), fd, mask);
  }

  #applyProcess({ what, child, pid }: TraceMoment & ProcessEvent): void {
    if (pid === undefined) return;
    // What is still open after an exec is reported again.
    if (what === "exit" || what === "exec" || what === "detach") {
      for (const [key, entry] of this.#entries) if (entry.pid === pid) this.#entries.delete(key);
      if (this.pid === pid) this.epfd = -1;
    } else if (what === "fork" && child !== undefined) {
      for (const entry of this.entries) {
        if (entry.pid === pid) this.#entries.set(fdKey(entry.fd, child), { ...entry, pid: child });
      }
    }
  }

  #close(fd: number, pid: number | undefined): void {
    if (this.entry(fd, pid)?.kind === "epoll") this.#closeEpoll(fd, pid);
    this.#entries.delete(fdKey(fd, pid));
  }

  #closeEpoll(epfd: number, pid: number | undefined): void {
    for (const entry of this.#entries.values()) if (entry.pid === pid) setRegistration(entry, epfd, null);
    if (this.epfd === epfd && this.pid === pid) this.epfd = this.epfds.findLast((other) => other !== epfd) ?? -1;
  }

  #findOrAdd(fd: number, moment: TraceMoment): FdEntry {
    return this.entry(fd, moment.pid) ?? this.#add(fd, "other", moment);
  }

  #add(fd: number, kind: FdEntry["kind"], { iteration, us, pid }: TraceMoment): FdEntry {
    const entry: FdEntry = {
      fd,
      ...(pid === undefined ? {} : { pid }),
      kind,
      mask: undefined,
      registrations: NO_REGISTRATIONS,
      state: undefined,
      address: undefined,
      bytesIn: 0,
      bytesOut: 0,
      sinceIteration: iteration,
      sinceUs: us,
    };
    this.#entries.set(fdKey(fd, pid), entry);
    return entry;
  }
}

/** Returns the key of an entry. */
export function keyOfEntry({ fd, pid }: Pick<FdEntry, "fd" | "pid">): FdKey {
  return fdKey(fd, pid);
}

/** @param mask `null` removes the registration */
function setRegistration(entry: FdEntry, epfd: number, mask: number | null): void {
  const { registrations } = entry;
  const [only] = registrations;
  if (registrations.length <= 1 && (only === undefined || only.epfd === epfd)) {
    entry.registrations = mask === null ? NO_REGISTRATIONS : [{ epfd, mask }];
  } else {
    const index = registrations.findIndex((one) => one.epfd === epfd);
    if (mask === null) entry.registrations = registrations.filter((one) => one.epfd !== epfd);
    else if (index < 0) entry.registrations = [...registrations, { epfd, mask }];
    else entry.registrations = registrations.with(index, { epfd, mask });
  }
  entry.mask = entry.registrations[0]?.mask;
}
