// The descriptors of a traced loop, as its events have told of them.

import type { Address } from "../../kernel/address.ts";
import type { TraceEvent, TraceMoment } from "../../trace/events.ts";

export interface FdEntry {
  fd: number;
  kind: "epoll" | "listener" | "connection" | "other";
  /** What it is watched for; undefined: it is not. */
  mask: number | undefined;
  state: string | undefined;
  /** Where a listener listens, or who a connection is with. */
  address: Address | undefined;
  bytesIn: number;
  bytesOut: number;
  sinceIteration: number;
  /** µs after the trace began. */
  sinceUs: number;
}

export class FdTable {
  readonly #entries = new Map<number, FdEntry>();
  /** The epoll instance. */
  epfd: number = -1;
  iteration: number = 0;
  /** What the last wait brought. */
  ready: readonly [fd: number, mask: number][] = [];

  see(event: TraceEvent): void {
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
        Object.assign(this.#entry(event.fd, event), { kind: "connection", address: event.address });
        return;
      case "wait":
        this.ready = event.events;
        return;
      case "ctl":
        if (event.result >= 0) this.#entry(event.fd, event).mask = event.mask ?? undefined;
        return;
      case "recv":
        if (event.result > 0) this.#entry(event.fd, event).bytesIn += event.result;
        return;
      case "send":
        if (event.result > 0) this.#entry(event.fd, event).bytesOut += event.result;
        return;
      case "state":
        if (this.#entries.has(event.fd)) this.#entry(event.fd, event).state = event.to ?? undefined;
        return;
      case "close":
        this.#entries.delete(event.fd);
        return;
      default:
    }
  }

  /** All that are open, by number. */
  get entries(): FdEntry[] {
    return [...this.#entries.values()].sort((a, b) => a.fd - b.fd);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** These, and of the others the oldest, by number. */
  some(wanted: ReadonlySet<number>, most: number): FdEntry[] {
    const entries = [...wanted].flatMap((fd) => this.#entries.get(fd) ?? []).slice(0, most);
    for (const entry of this.#entries.values()) {
      if (entries.length >= most) break;
      if (!wanted.has(entry.fd)) entries.push(entry);
    }
    return entries.sort((a, b) => a.fd - b.fd);
  }

  entry(fd: number): FdEntry | undefined {
    return this.#entries.get(fd);
  }

  /** What is watched, and for what. */
  get masks(): Map<number, number> {
    return new Map(this.entries.flatMap(({ fd, mask }) => (mask === undefined ? [] : [[fd, mask]])));
  }

  /** What a sample has told of: from here on events go on. */
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

  #entry(fd: number, moment: TraceMoment): FdEntry {
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
