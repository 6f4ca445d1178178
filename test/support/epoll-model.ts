// A few socketpairs in an Epoll, and a model of what the kernel does with them, as the man pages say.

import { expect } from "bun:test";
import {
  AF_UNIX,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWRNORM,
  SHUT_WR,
} from "../../src/kernel/constants.ts";
import { Epoll } from "../../src/io/epoll.ts";
import { Socket, socketpair } from "../../src/io/socket.ts";
import { duplicate } from "./descriptors.ts";

export const FIRST_FD = 600; // slot i is descriptor 600 + i, whoever has it: numbers are reused all the time

interface End {
  unread: number;
  hasShut: boolean; // its own writing half
  isReset: boolean; // its peer was closed with data unread
  isOpen: boolean;
  peer: End;
}

export interface Registration {
  mask: number;
  token: number;
}

export type Outcome = string | number | null | undefined;

/** What the kernel should do. */
export class Model {
  readonly ends: (End | undefined)[] = [];
  readonly interest: Map<number, Registration> = new Map();

  open(pair: number): Outcome {
    const end = { unread: 0, hasShut: false, isReset: false, isOpen: true } as End;
    const other: End = { ...end, peer: end };
    end.peer = other;
    this.ends[2 * pair] = end;
    this.ends[2 * pair + 1] = other;
    return undefined;
  }

  close(slot: number): Outcome {
    const end = this.ends[slot] as End;
    end.isOpen = false;
    if (end.unread > 0) end.peer.isReset = true;
    this.ends[slot] = undefined;
    this.interest.delete(slot); // no duplicate lives
    return undefined;
  }

  register(slot: number, mask: number, token: number): Outcome {
    if (this.ends[slot] === undefined) return "EBADF";
    if (this.interest.has(slot)) return "EEXIST";
    this.interest.set(slot, { mask, token });
    return undefined;
  }

  modify(slot: number, mask: number, token: number): Outcome {
    if (this.ends[slot] === undefined) return "EBADF";
    if (!this.interest.has(slot)) return "ENOENT";
    this.interest.set(slot, { mask, token });
    return undefined;
  }

  unregister(slot: number): Outcome {
    if (this.ends[slot] === undefined) return "EBADF";
    return this.interest.delete(slot) ? undefined : "ENOENT";
  }

  send(slot: number, size: number): Outcome {
    const end = this.ends[slot] as End;
    if (end.hasShut || !end.peer.isOpen) return "EPIPE";
    end.peer.unread += size;
    return size;
  }

  recv(slot: number, size: number): Outcome {
    const end = this.ends[slot] as End;
    if (end.unread > 0) {
      const n = Math.min(size, end.unread);
      end.unread -= n;
      return n;
    }
    if (end.isReset) {
      end.isReset = false;
      return "ECONNRESET";
    }
    return end.peer.hasShut || !end.peer.isOpen ? 0 : null;
  }

  shutdown(slot: number): Outcome {
    (this.ends[slot] as End).hasShut = true;
    return undefined;
  }

  /** What poll(2) would say of it: unix_poll in net/unix/af_unix.c. */
  state({ unread, hasShut, isReset, peer }: End): number {
    const isAtEnd = peer.hasShut || !peer.isOpen;
    const isDeaf = hasShut || !peer.isOpen;
    let mask = EPOLLOUT | EPOLLWRNORM; // so little is sent that there is always room
    if (unread > 0 || isAtEnd) mask |= EPOLLIN | EPOLLRDNORM;
    if (isAtEnd) mask |= EPOLLRDHUP;
    if (isAtEnd && isDeaf) mask |= EPOLLHUP;
    if (isReset) mask |= EPOLLERR;
    return mask;
  }

  /** Slot → what is to be reported of it. */
  ready(): Map<number, Registration> {
    const ready = new Map<number, Registration>();
    for (const [slot, { mask, token }] of this.interest) {
      const reported = this.state(this.ends[slot] as End) & (mask | EPOLLERR | EPOLLHUP);
      if (reported !== 0 && mask !== EPOLLONESHOT + SPENT) ready.set(slot, { mask: reported, token });
    }
    return ready;
  }

  /** It was reported. */
  report(slot: number): void {
    const registration = this.interest.get(slot) as Registration;
    if (registration.mask & EPOLLONESHOT) registration.mask = EPOLLONESHOT + SPENT;
  }
}

const SPENT = 0x800; // a bit that no mask here has: this shot was fired

/** The same, really. */
export class Real implements Disposable {
  readonly epoll: Epoll = new Epoll();
  readonly #sockets: (Socket | undefined)[] = [];

  open(pair: number): Outcome {
    for (const [i, socket] of socketpair(AF_UNIX).entries()) {
      using original = socket;
      const slot = 2 * pair + i;
      const fd = duplicate(original, FIRST_FD + slot).fileno();
      this.#sockets[slot] = Socket.fromfd(fd);
      expect(fd).toBe(FIRST_FD + slot);
    }
    return undefined;
  }

  close(slot: number): Outcome {
    this.#at(slot).close();
    return undefined;
  }

  register(slot: number, mask: number, token: number): Outcome {
    return this.epoll.register(FIRST_FD + slot, mask, token) as undefined;
  }

  modify(slot: number, mask: number, token: number): Outcome {
    return this.epoll.modify(FIRST_FD + slot, mask, token) as undefined;
  }

  unregister(slot: number): Outcome {
    return this.epoll.unregister(FIRST_FD + slot) as undefined;
  }

  send(slot: number, size: number): Outcome {
    return this.#at(slot).send("x".repeat(size));
  }

  recv(slot: number, size: number): Outcome {
    return this.#at(slot).recv(size)?.length ?? null;
  }

  shutdown(slot: number): Outcome {
    return this.#at(slot).shutdown(SHUT_WR) as undefined;
  }

  #at(slot: number): Socket {
    return this.#sockets[slot] as Socket;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket?.close();
    this.epoll.close();
  }
}
