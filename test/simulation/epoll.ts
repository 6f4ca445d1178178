// A simulated epoll instance: the interest list and the ready list, as fs/eventpoll.c keeps them.

import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLWAKEUP,
} from "../../src/kernel/constants.ts";
import { EINVAL, ENOENT } from "../../src/kernel/errno.ts";
import { SimFile } from "./file.ts";

const EEXIST = 17;
const EXCLUSIVE_OK = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
/** The bits that EPOLLONESHOT leaves when it disarms a registration. */
const PRIVATE_BITS = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;

export interface Registration {
  readonly epoll: SimEpoll;
  readonly file: SimFile;
  readonly fd: number;
  mask: number;
  token: number;
  isReady: boolean;
  isRemoved: boolean;
}

/** What a wait does with a ready registration, for simulated delays and spurious events. */
export interface Reporting {
  /** Returns whether to report it later. */
  isLate(registration: Registration): boolean;
  /** Called for each event that is reported. */
  onReported(registration: Registration, events: number): void;
}

export class SimEpoll extends SimFile {
  readonly interest: Set<Registration> = new Set<Registration>();
  #ready: Registration[] = [];
  #spare: Registration[] = [];

  control(op: number, fd: number, file: SimFile, events: number, token: number): number {
    const isExclusive = (events & EPOLLEXCLUSIVE) !== 0 && op !== EPOLL_CTL_DEL;
    if (isExclusive && op === EPOLL_CTL_MOD) return -EINVAL;
    if (isExclusive && (file instanceof SimEpoll || (events & ~EXCLUSIVE_OK) !== 0)) return -EINVAL;
    const found = file.registrationOf(this, fd);
    const mask = events | EPOLLERR | EPOLLHUP;
    if (op === EPOLL_CTL_ADD) {
      if (found !== undefined) return -EEXIST;
      const registration: Registration = { epoll: this, file, fd, mask, token, isReady: false, isRemoved: false };
      this.interest.add(registration);
      file.registrations.push(registration);
      this.#check(registration);
      return 0;
    }
    if (op !== EPOLL_CTL_DEL && op !== EPOLL_CTL_MOD) return -EINVAL;
    if (found === undefined) return -ENOENT;
    if (op === EPOLL_CTL_DEL) {
      this.remove(found);
      return 0;
    }
    if ((found.mask & EPOLLEXCLUSIVE) !== 0) return -EINVAL;
    found.mask = mask;
    found.token = token;
    this.#check(found);
    return 0;
  }

  remove(registration: Registration): void {
    registration.isRemoved = true;
    this.interest.delete(registration);
    const { registrations } = registration.file;
    registrations.splice(registrations.indexOf(registration), 1);
  }

  #check(registration: Registration): void {
    if ((registration.file.poll() & registration.mask) !== 0) this.add(registration);
  }

  /** Puts a registration on the ready list. */
  add(registration: Registration): void {
    if (registration.isReady || (registration.mask & ~PRIVATE_BITS) === 0) return;
    registration.isReady = true;
    this.#ready.push(registration);
  }

  /** Whether a wait would return. */
  get isReady(): boolean {
    for (const registration of this.#ready) {
      if (!registration.isRemoved && (registration.file.poll() & registration.mask) !== 0) return true;
    }
    return false;
  }

  /** Writes up to `max` events to `out`, in the format of the system call table. */
  collect(out: Int32Array, max: number, reporting?: Reporting): number {
    const list = this.#ready;
    const next = this.#spare;
    this.#ready = next;
    let n = 0;
    let i = 0;
    for (; i < list.length && n < max; i++) {
      const registration = list[i] as Registration;
      registration.isReady = false;
      if (registration.isRemoved) continue;
      const events = registration.file.poll() & registration.mask;
      if (events === 0) continue;
      if (reporting?.isLate(registration) === true) {
        this.add(registration);
        continue;
      }
      reporting?.onReported(registration, events);
      out[3 * n] = events;
      out[3 * n + 1] = registration.fd;
      out[3 * n + 2] = registration.token;
      n++;
      if ((registration.mask & EPOLLONESHOT) !== 0) registration.mask &= PRIVATE_BITS;
      else if ((registration.mask & EPOLLET) === 0) this.add(registration);
    }
    if (i < list.length) next.unshift(...list.slice(i)); // they are first the next time
    list.length = 0;
    this.#spare = list;
    return n;
  }

  override release(): void {
    for (const registration of this.interest) this.remove(registration);
  }
}
