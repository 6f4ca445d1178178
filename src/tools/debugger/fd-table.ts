// class FdTable: the open file descriptors of a traced loop, derived from its events.

import type { Address } from "../../kernel/address.ts";
import type { TraceEvent, TraceMoment } from "../../trace/events.ts";

export interface FdEntry {
  fd: number;
  kind: "epoll" | "listener" | "connection" | "other";
  /** The registered mask; undefined if the fd is not registered. */
  mask: number | undefined;
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

export class FdTable {
  readonly #entries = new Map<number, FdEntry>();
  /** The fd of the epoll instance; -1 if none has been created. */
  epfd: number = -1;
  iteration: number = 0;
  /** The ready list of the last wait. */
  ready: readonly [fd: number, mask: number][] = [];

  apply(event: TraceEvent): void {
    this.iteration = event.iteration;
    switch (event.type) {
      case "create":
        if (event.result < 0) return;
        this.epfd = event.result;
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
        this.ready = event.events;
        return;
      case "ctl":
        if (event.result >= 0) this.#findOrAdd(event.fd, event).mask = event.mask ?? undefined;
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

  /** The registered masks, by fd. */
  get masks(): Map<number, number> {
    return new Map(this.entries.flatMap(({ fd, mask }) => (mask === undefined ? [] : [[fd, mask]])));
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

  #findOrAdd(fd: number, moment: TraceMoment): FdEntry {
    return this.#entries.get(fd) ?? this.#add(fd, "other", moment);
  }

  #add(fd: number, kind: FdEntry["kind"], { iteration, us }: TraceMoment): FdEntry {
    const entry: FdEntry = {
      fd,
      kind,
      mask: undefined,
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
