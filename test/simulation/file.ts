// What a simulated fd refers to: an open file description, with its epoll registrations.

import type { Registration, SimEpoll } from "./epoll.ts";

export abstract class SimFile {
  /** How many fds refer to it. */
  references = 0;
  readonly registrations: Registration[] = [];
  /** Counts what calls have changed. An event after which this stays the same would be reported again and again. */
  changes = 0;

  /** Returns the events that it is ready for. */
  poll(): number {
    return 0;
  }

  /** Returns whether epoll can watch it. */
  get isPollable(): boolean {
    return true;
  }

  /** The last fd was closed. */
  release(): void {}

  registrationOf(epoll: SimEpoll, fd: number): Registration | undefined {
    for (const registration of this.registrations) {
      if (registration.fd === fd && registration.epoll === epoll) return registration;
    }
    return undefined;
  }

  /** Puts the registrations that wait for one of these events on their ready lists. 0: all of them. */
  wake(key: number): void {
    const { registrations } = this;
    for (let i = 0; i < registrations.length; i++) {
      const registration = registrations[i] as Registration;
      if (key === 0 || (key & registration.mask) !== 0) registration.epoll.add(registration);
    }
  }
}

/** A regular file with a pattern of bytes as its content. */
export class RegularFile extends SimFile {
  readonly size: number;
  readonly isPath: boolean;

  constructor(size: number, isPath: boolean) {
    super();
    this.size = size;
    this.isPath = isPath;
  }

  override get isPollable(): boolean {
    return false;
  }
}
