// Socket pairs registered with a real Epoll, and a model of the behavior that the man pages describe.

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

export const FIRST_FD = 600; // slot i always has fd 600 + i, so that fds are reused constantly

interface End {
  /** Bytes in the receive queue. */
  queuedBytes: number;
  /** Whether it has shut down writing. */
  hasShutDown: boolean;
  /** Whether its peer was closed with data in the receive queue. */
  isReset: boolean;
  isOpen: boolean;
  peer: End;
}

export interface Registration {
  mask: number;
  token: number;
}

export type Outcome = string | number | null | undefined;

/** The expected behavior of the kernel. */
export class Model {
  readonly ends: (End | undefined)[] = [];
  readonly interest: Map<number, Registration> = new Map();

  open(pair: number): Outcome {
    const end = { queuedBytes: 0, hasShutDown: false, isReset: false, isOpen: true } as End;
    const other: End = { ...end, peer: end };
    end.peer = other;
    this.ends[2 * pair] = end;
    this.ends[2 * pair + 1] = other;
    return undefined;
  }

  close(slot: number): Outcome {
    const end = this.ends[slot] as End;
    end.isOpen = false;
    if (end.queuedBytes > 0) end.peer.isReset = true;
    this.ends[slot] = undefined;
    this.interest.delete(slot); // there is no duplicate
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
    if (end.hasShutDown || !end.peer.isOpen) return "EPIPE";
    end.peer.queuedBytes += size;
    return size;
  }

  recv(slot: number, size: number): Outcome {
    const end = this.ends[slot] as End;
    if (end.queuedBytes > 0) {
      const n = Math.min(size, end.queuedBytes);
      end.queuedBytes -= n;
      return n;
    }
    if (end.isReset) {
      end.isReset = false;
      return "ECONNRESET";
    }
    return end.peer.hasShutDown || !end.peer.isOpen ? 0 : null;
  }

  shutdown(slot: number): Outcome {
    (this.ends[slot] as End).hasShutDown = true;
    return undefined;
  }

  /** Returns the events of an end, as unix_poll() in net/unix/af_unix.c computes them. */
  state({ queuedBytes, hasShutDown, isReset, peer }: End): number {
    const isAtEnd = peer.hasShutDown || !peer.isOpen;
    const cannotSend = hasShutDown || !peer.isOpen;
    let mask = EPOLLOUT | EPOLLWRNORM; // too little is sent to fill the send buffer
    if (queuedBytes > 0 || isAtEnd) mask |= EPOLLIN | EPOLLRDNORM;
    if (isAtEnd) mask |= EPOLLRDHUP;
    if (isAtEnd && cannotSend) mask |= EPOLLHUP;
    if (isReset) mask |= EPOLLERR;
    return mask;
  }

  /** Returns the expected events by slot. */
  ready(): Map<number, Registration> {
    const ready = new Map<number, Registration>();
    for (const [slot, { mask, token }] of this.interest) {
      const reported = this.state(this.ends[slot] as End) & (mask | EPOLLERR | EPOLLHUP);
      if (reported !== 0 && mask !== EPOLLONESHOT + DISARMED) ready.set(slot, { mask: reported, token });
    }
    return ready;
  }

  /** Records that the event of a slot was reported, which disarms EPOLLONESHOT. */
  report(slot: number): void {
    const registration = this.interest.get(slot) as Registration;
    if (registration.mask & EPOLLONESHOT) registration.mask = EPOLLONESHOT + DISARMED;
  }
}

const DISARMED = 0x800; // an otherwise unused bit: EPOLLONESHOT has reported its event

/** The same operations on real sockets and a real Epoll. */
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
