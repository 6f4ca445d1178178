// class ProcessState: what has to be known about a process to decode its calls.

import type { Address } from "../../kernel/address.ts";

/** The fds by the 64 bits with which they were registered, which epoll_wait(2) returns: often the address of an object. */
export class RegisteredData {
  readonly #byHigh = new Map<number, Map<number, number>>();

  set(low: number, high: number, fd: number): void {
    let byLow = this.#byHigh.get(high);
    if (byLow === undefined) this.#byHigh.set(high, (byLow = new Map()));
    byLow.set(low, fd);
  }

  get(low: number, high: number): number | undefined {
    return this.#byHigh.get(high)?.get(low);
  }

  copy(): RegisteredData {
    const copy = new RegisteredData();
    for (const [high, byLow] of this.#byHigh) copy.#byHigh.set(high, new Map(byLow));
    return copy;
  }
}

export class ProcessState {
  readonly pid: number;
  /** The fds that are known to be open. */
  readonly fds: Set<number> = new Set();
  /** The addresses that were bound, by fd. */
  readonly bound: Map<number, Address> = new Map();
  readonly #epolls = new Map<number, RegisteredData>();

  constructor(pid: number) {
    this.pid = pid;
  }

  /** What is registered with an epoll instance. */
  registered(epfd: number): RegisteredData {
    let data = this.#epolls.get(epfd);
    if (data === undefined) this.#epolls.set(epfd, (data = new RegisteredData()));
    return data;
  }

  onOpen(fd: number): void {
    this.fds.add(fd);
    this.bound.delete(fd);
    this.#epolls.delete(fd);
  }

  onDuplicate(from: number, to: number): void {
    this.onOpen(to);
    const [data, address] = [this.#epolls.get(from), this.bound.get(from)];
    if (data !== undefined) this.#epolls.set(to, data);
    if (address !== undefined) this.bound.set(to, address);
  }

  onClose(fd: number): void {
    this.fds.delete(fd);
    this.bound.delete(fd);
    this.#epolls.delete(fd);
  }

  /** Another program was executed. */
  clear(): void {
    this.fds.clear();
    this.bound.clear();
    this.#epolls.clear();
  }

  /** The state of a process that this one has created. */
  fork(pid: number): ProcessState {
    const child = new ProcessState(pid);
    for (const fd of this.fds) child.fds.add(fd);
    for (const [fd, address] of this.bound) child.bound.set(fd, address);
    for (const [epfd, data] of this.#epolls) child.#epolls.set(epfd, data.copy());
    return child;
  }
}
