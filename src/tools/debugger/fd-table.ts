// class FdTable: the open file descriptors of a traced loop, derived from its events.

import type { Address } from "../../kernel/address.ts";
import type { TraceEvent, TraceMoment } from "../../trace/events.ts";

/** A registration of an fd with an epoll instance. */
export interface EntryRegistration {
  epfd: number;
  mask: number;
}

export interface FdEntry {
  fd: number;
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
  readonly #entries = new Map<number, FdEntry>();
  #waits = 0;
  /** The epoll instance of the last wait, or if there was none, the last one that was created; -1 if there is none. */
  epfd: number = -1;
  iteration: number = 0;
  /** The ready list of the last wait. */
  ready: readonly [fd: number, mask: number][] = [];

  apply(event: TraceEvent): void {
    this.iteration = event.iteration;
    switch (event.type) {
      case "create":
        if (event.result < 0) return;
        if (this.#entries.get(this.epfd)?.kind !== "epoll" || this.#waits === 0) this.epfd = event.result;
        this.#add(event.result, "epoll", event);
        return;
      case "listen":
        this.#add(event.fd, "listener", event).address = event.address;
        return;
      case "accept":
        if (event.result >= 0) this.#add(event.result, "connection", event).address = event.peer ?? undefined;
        return;
      case "connect":
        Object.assign(this.#findOrAdd(event.fd, event), { kind: "connection", address: event.address });
        return;
      case "wait":
        this.#waits++;
        this.epfd = event.epfd;
        this.ready = event.events;
        this.#findOrAddEpoll(event.epfd, event);
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
        if (this.#entries.has(event.fd)) this.#findOrAdd(event.fd, event).state = event.to ?? undefined;
        return;
      case "close":
        if (this.#entries.get(event.fd)?.kind === "epoll") this.#closeEpoll(event.fd);
        this.#entries.delete(event.fd);
        return;
      default:
    }
  }

  /** All open fds, ordered by number. */
  get entries(): FdEntry[] {
    return [...this.#entries.values()].sort((a, b) => a.fd - b.fd);
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
  entriesIncluding(fds: ReadonlySet<number>, max: number): FdEntry[] {
    const entries = [...fds].flatMap((fd) => this.#entries.get(fd) ?? []).slice(0, max);
    for (const entry of this.#entries.values()) {
      if (entries.length >= max) break;
      if (!fds.has(entry.fd)) entries.push(entry);
    }
    return entries.sort((a, b) => a.fd - b.fd);
  }

  entry(fd: number): FdEntry | undefined {
    return this.#entries.get(fd);
  }

  /** The epoll instances, ordered by number. */
  get epfds(): number[] {
    return this.entries.flatMap(({ fd, kind }) => (kind === "epoll" ? [fd] : []));
  }

  /** Returns the masks registered with an epoll instance, by fd. */
  masksOf(epfd: number): Map<number, number> {
    return new Map(
      this.entries.flatMap(({ fd, registrations }) =>
        registrations.flatMap((one) => (one.epfd === epfd ? [[fd, one.mask] as const] : [])),
      ),
    );
  }

  /** Replaces the contents with those of a sample, to which later events can then be applied. */
  restore(
    entries: readonly FdEntry[],
    { epfd, iteration, ready }: Pick<FdTable, "epfd" | "iteration" | "ready">,
  ): void {
    this.#entries.clear();
    for (const entry of entries) this.#entries.set(entry.fd, { ...entry });
    this.epfd = epfd;
    this.iteration = iteration;
    this.ready = ready;
  }

  /** An instance that was opened elsewhere, such as one from `Epoll.fromfd`. */
  #findOrAddEpoll(epfd: number, moment: TraceMoment): void {
    this.#findOrAdd(epfd, moment).kind = "epoll";
  }

  #closeEpoll(epfd: number): void {
    for (const entry of this.#entries.values()) setRegistration(entry, epfd, null);
    if (this.epfd === epfd) this.epfd = this.epfds.findLast((other) => other !== epfd) ?? -1;
  }

  #findOrAdd(fd: number, moment: TraceMoment): FdEntry {
    return this.#entries.get(fd) ?? this.#add(fd, "other", moment);
  }

  #add(fd: number, kind: FdEntry["kind"], { iteration, us }: TraceMoment): FdEntry {
    const entry: FdEntry = {
      fd,
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
    this.#entries.set(fd, entry);
    return entry;
  }
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
