// class Registrations: what a traced program has registered, by epoll instance and fd.

import type { CallSite } from "./caller-line.ts";
import type { CtlEvent } from "./events.ts";

/** An fd in the interest list of an epoll instance. A new object for each EPOLL_CTL_ADD, so it identifies the registration. */
export interface Registration {
  readonly epfd: number;
  readonly fd: number;
  mask: number;
  /** The last call that set the mask, if call sites are recorded. */
  site: CallSite | undefined;
}

const NONE: readonly Registration[] = [];

export class Registrations {
  /** By epoll instance, then by fd. */
  readonly #instances = new Map<number, Map<number, Registration>>();
  readonly #byFd = new Map<number, Registration[]>();

  get(epfd: number, fd: number): Registration | undefined {
    return this.#instances.get(epfd)?.get(fd);
  }

  /** All registrations. */
  get all(): Registration[] {
    return [...this.#instances.values()].flatMap((instance) => [...instance.values()]);
  }

  /** The registrations of an fd: one for each instance. */
  of(fd: number): readonly Registration[] {
    return this.#byFd.get(fd) ?? NONE;
  }

  /** The registrations of an epoll instance. */
  in(epfd: number): Iterable<Registration> {
    return this.#instances.get(epfd)?.values() ?? NONE;
  }

  /** Records a call of epoll_ctl that has succeeded. Returns the mask before; `null` if the fd was not registered. */
  apply(epfd: number, op: CtlEvent["op"], fd: number, mask: number | null, site: CallSite | undefined): number | null {
    const before = this.get(epfd, fd);
    const oldMask = before?.mask ?? null;
    if (mask === null) {
      if (before !== undefined) this.#remove(before);
    } else if (before === undefined || op === "ADD") {
      if (before !== undefined) this.#remove(before); // its file was closed by a call that is not traced
      this.#add({ epfd, fd, mask, site });
    } else {
      before.mask = mask;
      before.site = site;
    }
    return oldMask;
  }

  /** Records that an fd was closed. Returns the registrations that it still had, without those of an instance that was closed. */
  close(fd: number): readonly Registration[] {
    for (const registration of this.#instances.get(fd)?.values() ?? []) this.#remove(registration);
    this.#instances.delete(fd);
    const rest = this.#byFd.get(fd);
    if (rest === undefined) return NONE;
    for (const registration of rest) this.#remove(registration);
    return rest;
  }

  #add(registration: Registration): void {
    const { epfd, fd } = registration;
    let instance = this.#instances.get(epfd);
    if (instance === undefined) this.#instances.set(epfd, (instance = new Map()));
    instance.set(fd, registration);
    const others = this.#byFd.get(fd);
    if (others === undefined) this.#byFd.set(fd, [registration]);
    else others.push(registration);
  }

  #remove(registration: Registration): void {
    const { epfd, fd } = registration;
    this.#instances.get(epfd)?.delete(fd);
    const others = (this.#byFd.get(fd) ?? []).filter((other) => other !== registration);
    if (others.length === 0) this.#byFd.delete(fd);
    else this.#byFd.set(fd, others);
  }
}
