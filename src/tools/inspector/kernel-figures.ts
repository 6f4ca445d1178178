// The kernel's view of the fds of a loop, asked for by the page: interest lists, ready fds and queues.

import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP } from "../../kernel/constants.ts";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import { queueSizes } from "../../trace/fd-info.ts";
import { acceptQueue, pollFds } from "../../trace/kernel-queries.ts";
import { type Interest, interestList, openFileName } from "../../trace/interest-list.ts";
import { isClosed } from "../debugger/kernel-statements.ts";
import { withSpareFd } from "../spare-fds.ts";
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
  /** The interest lists, or why one cannot be read; undefined if the instance is closed. */
  #interest = new Map<number, Interest[] | string | undefined>();
  #masks = new Map<number, Map<number, number>>();
  #instances: KernelInstance[] | undefined;
  #expiresMs = 0;

  /** Reads everything again: the loop has paused or continued, and an interest list that was read before says what was, not what is. */
  forget(): void {
    this.#expiresMs = 0;
  }

  /** Sets the kernel mask and the queues of a row. */
  complete(row: FdRow): void {
    if (row.epfd !== undefined) {
      const masks = this.#masksOf(row.epfd);
      if (masks !== undefined) row.kernelMask = masks.get(row.fd) ?? null;
    }
    if (row.kind === "listener") {
      const queue = acceptQueue(untracedSyscalls(), row.fd);
      row.receiveQueue = queue?.length;
      row.sendQueue = queue?.limit;
    } else if (row.kind === "connection") {
      const { receiveQueueBytes, sendQueueBytes } = queueSizes(row.fd);
      row.receiveQueue = receiveQueueBytes;
      row.sendQueue = sendQueueBytes;
    }
  }

  /**
   * Returns the interest list of each epoll instance, and which of its fds are ready.
   *
   * @param isSocket says of an fd that it certainly is a socket
   */
  instances(epfds: readonly number[], isSocket: (fd: number) => boolean): KernelInstance[] {
    this.#expire();
    const startMs = performance.now();
    this.#instances ??= epfds.flatMap((epfd) => {
      const interest = this.#interestOf(epfd);
      if (interest === undefined) return [];
      return typeof interest === "string"
        ? unknownInstance(epfd, interest)
        : describeInstance(epfd, interest, isSocket);
    });
    this.#extend(startMs);
    return this.#instances;
  }

  #masksOf(epfd: number): Map<number, number> | undefined {
    this.#expire();
    const startMs = performance.now();
    const interest = this.#interestOf(epfd);
    if (typeof interest !== "object") return undefined;
    let masks = this.#masks.get(epfd);
    if (masks === undefined) {
      masks = new Map(interest.map(({ fd, mask }) => [fd, mask]));
      this.#masks.set(epfd, masks);
      this.#extend(startMs);
    }
    return masks;
  }

  #interestOf(epfd: number): Interest[] | string | undefined {
    if (!this.#interest.has(epfd)) {
      try {
        this.#interest.set(
          epfd,
          withSpareFd(() => interestList(epfd)),
        );
      } catch (error) {
        this.#interest.set(epfd, isClosed(error) ? undefined : String(error));
      }
    }
    return this.#interest.get(epfd);
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

function unknownInstance(epfd: number, error: string): KernelInstance {
  return { epfd, interest: 0, ready: 0, isReadyComplete: false, entries: [], error };
}

function describeInstance(
  epfd: number,
  interest: readonly Interest[],
  isSocket: (fd: number) => boolean,
): KernelInstance {
  const ready = readyMasks(interest.slice(0, MAX_POLLED).filter(({ fd }) => isSocket(fd) || isPollHarmless(fd)));
  const entries = interest.map(({ fd, mask }) => ({ fd, mask, ready: ready.get(fd) ?? 0 }));
  const shown = [...entries.filter((one) => one.ready !== 0), ...entries.filter((one) => one.ready === 0)];
  return {
    epfd,
    interest: interest.length,
    ready: ready.size,
    isReadyComplete: interest.length <= MAX_POLLED,
    entries: shown.slice(0, MAX_LISTED),
    error: undefined,
  };
}

/** Returns for which of the registered events each fd is ready, by fd. An fd that EPOLLONESHOT has disarmed is not ready. */
function readyMasks(interest: readonly Interest[]): Map<number, number> {
  const armed = interest.flatMap(({ fd, mask }): [number, number][] => {
    const events = mask & ~MODE_FLAGS;
    return events === 0 ? [] : [[fd, events]];
  });
  const ready = pollFds(untracedSyscalls(), armed);
  return new Map(armed.flatMap(([fd], i): [number, number][] => (ready[i] ? [[fd, ready[i]]] : [])));
}

/** Polling some files of /proc and /sys consumes the event. */
function isPollHarmless(fd: number): boolean {
  try {
    return !/^\/(?:proc|sys)\//.test(openFileName(fd));
  } catch {
    return false;
  }
}
