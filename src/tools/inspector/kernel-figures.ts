// The kernel's view of the fds of a loop, asked for by the page: interest lists, ready fds and queues.

import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP } from "../../kernel/constants.ts";
import { queueSizes } from "../../trace/fd-info.ts";
import { type FdKey, fdKey, fdOfKey, pidOfKey } from "../../trace/fd-key.ts";
import type { Interest } from "../../trace/interest-list.ts";
import { acceptQueue, pollFds } from "../../trace/kernel-queries.ts";
import { type KernelView, ownKernel } from "../../trace/kernel-view.ts";
import type { KernelOf } from "../debugger/kernel-statements.ts";
import type { FdRow } from "./fd-row.ts";
import type { KernelInstance } from "./messages.ts";

/** How long an interest list is reused: reading one of 10,000 fds takes 10 ms. It is longer if reading takes long. */
const MIN_CACHE_MS = 250;
const CACHE_RATIO = 20;
const MAX_CACHE_MS = 2_000;
/** The most fds of a list that are sent to the page. */
const MAX_LISTED = 64;
/** The most fds that are polled. */
const MAX_POLLED = 20_000;
/** Flags that say how a registration is reported, and not for which events. */
const MODE_FLAGS = EPOLLET | EPOLLEXCLUSIVE | EPOLLONESHOT | EPOLLWAKEUP;

export class KernelFigures {
  readonly #kernelOf: KernelOf;
  /** By epoll instance. */
  #interest = new Map<FdKey, Interest[] | undefined>();
  #masks = new Map<FdKey, Map<number, number>>();
  #instances: KernelInstance[] | undefined;
  #expiresMs = 0;

  constructor(kernelOf: KernelOf = () => ownKernel()) {
    this.#kernelOf = kernelOf;
  }

  /** Sets the kernel mask and the queues of a row. */
  complete(row: FdRow): void {
    if (row.epfd !== undefined) {
      const masks = this.#masksOf(fdKey(row.epfd, row.pid));
      if (masks !== undefined) row.kernelMask = masks.get(row.fd) ?? null;
    }
    const { sys } = this.#kernelOf(row.pid);
    if (row.kind === "listener") {
      const queue = acceptQueue(sys, row.fd);
      row.receiveQueue = queue?.length;
      row.sendQueue = queue?.limit;
    } else if (row.kind === "connection") {
      const { receiveQueueBytes, sendQueueBytes } = queueSizes(row.fd, sys);
      row.receiveQueue = receiveQueueBytes;
      row.sendQueue = sendQueueBytes;
    }
  }

  /**
   * Returns the interest list of each epoll instance, and which of its fds are ready.
   *
   * @param isSocket says of an fd that it certainly is a socket
   */
  instances(epolls: readonly FdKey[], isSocket: (key: FdKey) => boolean): KernelInstance[] {
    this.#expire();
    const startMs = performance.now();
    this.#instances ??= epolls.flatMap((key) => {
      const interest = this.#interestOf(key);
      const pid = pidOfKey(key);
      const isSocketHere = (fd: number): boolean => isSocket(fdKey(fd, pid));
      return interest === undefined
        ? []
        : [describeInstance(this.#kernelOf(pid), fdOfKey(key), interest, isSocketHere)];
    });
    this.#extend(startMs);
    return this.#instances;
  }

  #masksOf(key: FdKey): Map<number, number> | undefined {
    this.#expire();
    const startMs = performance.now();
    const interest = this.#interestOf(key);
    if (interest === undefined) return undefined;
    let masks = this.#masks.get(key);
    if (masks === undefined) {
      masks = new Map(interest.map(({ fd, mask }) => [fd, mask]));
      this.#masks.set(key, masks);
      this.#extend(startMs);
    }
    return masks;
  }

  /** Returns undefined if the instance is closed. */
  #interestOf(key: FdKey): Interest[] | undefined {
    if (!this.#interest.has(key)) {
      try {
        this.#interest.set(key, this.#kernelOf(pidOfKey(key)).interestList(fdOfKey(key)));
      } catch {
        this.#interest.set(key, undefined);
      }
    }
    return this.#interest.get(key);
  }

  #expire(): void {
    const now = performance.now();
    if (now < this.#expiresMs) return;
    this.#expiresMs = now + MIN_CACHE_MS;
    this.#interest.clear();
    this.#masks.clear();
    this.#instances = undefined;
  }

  #extend(startMs: number): void {
    const now = performance.now();
    this.#expiresMs = Math.max(this.#expiresMs, now + Math.min(MAX_CACHE_MS, (now - startMs) * CACHE_RATIO));
  }
}

function describeInstance(
  kernel: KernelView,
  epfd: number,
  interest: readonly Interest[],
  isSocket: (fd: number) => boolean,
): KernelInstance {
  const polled = interest.slice(0, MAX_POLLED).filter(({ fd }) => isSocket(fd) || isPollHarmless(kernel, fd));
  const ready = readyMasks(kernel, polled);
  const entries = interest.map(({ fd, mask }) => ({ fd, mask, ready: ready.get(fd) ?? 0 }));
  const shown = [...entries.filter((one) => one.ready !== 0), ...entries.filter((one) => one.ready === 0)];
  return {
    ...(kernel.pid === undefined ? {} : { pid: kernel.pid }),
    epfd,
    interest: interest.length,
    ready: ready.size,
    isReadyComplete: interest.length <= MAX_POLLED,
    entries: shown.slice(0, MAX_LISTED),
  };
}

/** Returns for which of the registered events each fd is ready, by fd. An fd that EPOLLONESHOT has disarmed is not ready. */
function readyMasks({ sys }: KernelView, interest: readonly Interest[]): Map<number, number> {
  const armed = interest.flatMap(({ fd, mask }): [number, number][] => {
    const events = mask & ~MODE_FLAGS;
    return events === 0 ? [] : [[fd, events]];
  });
  const ready = pollFds(sys, armed);
  return new Map(armed.flatMap(([fd], i): [number, number][] => (ready[i] ? [[fd, ready[i]]] : [])));
}

/** Polling some files of /proc and /sys consumes the event. */
function isPollHarmless(kernel: KernelView, fd: number): boolean {
  try {
    return !/^\/(?:proc|sys)\//.test(kernel.openFileName(fd));
  } catch {
    return false;
  }
}
