// The descriptors of a traced loop, as its events have told of them.

import type { Address } from "../address.ts";
import type { TraceEvent } from "../trace/event.ts";

export interface Entry {
  fd: number;
  kind: "epoll" | "listener" | "connection" | "other";
  /** What it is watched for; undefined: it is not. */
  mask: number | undefined;
  state: string | undefined;
  /** Where a listener listens, or who a connection is with. */
  address: Address | undefined;
  bytesIn: number;
  bytesOut: number;
  sinceLap: number;
}

export class Table {
  readonly #entries = new Map<number, Entry>();
  /** The epoll instance. */
  epfd: number = -1;
  lap: number = 0;
  /** What the last wait brought. */
  ready: readonly [fd: number, mask: number][] = [];

  see(event: TraceEvent): void {
    this.lap = event.lap;
    switch (event.type) {
      case "create":
        if (event.result < 0) return;
        this.epfd = event.result;
        this.#add(event.result, "epoll", event.lap);
        return;
      case "listen":
        this.#add(event.fd, "listener", event.lap).address = event.address;
        return;
      case "accept":
        if (event.result >= 0) this.#add(event.result, "connection", event.lap).address = event.peer ?? undefined;
        return;
      case "wait":
        this.ready = event.events;
        return;
      case "ctl":
        if (event.result >= 0) this.#entry(event.fd, event.lap).mask = event.mask ?? undefined;
        return;
      case "recv":
        if (event.result > 0) this.#entry(event.fd, event.lap).bytesIn += event.result;
        return;
      case "send":
        if (event.result > 0) this.#entry(event.fd, event.lap).bytesOut += event.result;
        return;
      case "state":
        if (this.#entries.has(event.fd)) this.#entry(event.fd, event.lap).state = event.to ?? undefined;
        return;
      case "close":
        this.#entries.delete(event.fd);
        return;
      default:
    }
  }

  /** All that are open, by number. */
  get entries(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.fd - b.fd);
  }

  entry(fd: number): Entry | undefined {
    return this.#entries.get(fd);
  }

  /** What is watched, and for what. */
  get masks(): Map<number, number> {
    return new Map(this.entries.flatMap(({ fd, mask }) => (mask === undefined ? [] : [[fd, mask]])));
  }

  #entry(fd: number, lap: number): Entry {
    return this.#entries.get(fd) ?? this.#add(fd, "other", lap);
  }

  #add(fd: number, kind: Entry["kind"], lap: number): Entry {
    const entry: Entry = {
      fd,
      kind,
      mask: undefined,
      state: undefined,
      address: undefined,
      bytesIn: 0,
      bytesOut: 0,
      sinceLap: lap,
    };
    this.#entries.set(fd, entry);
    return entry;
  }
}
