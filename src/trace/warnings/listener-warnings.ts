// The warnings about listening sockets: accept-failed, listener-unwatched and backlog-full.

import { EPOLLIN, EPOLLONESHOT } from "../../kernel/constants.ts";
import { errnoName } from "../../kernel/errno.ts";
import type { CallSite } from "../caller-line.ts";
import type { AcceptEvent, WaitEvent } from "../events.ts";
import { type AcceptQueue, acceptQueue, isFull, isReadable } from "../kernel-queries.ts";
import type { WarningContext } from "./context.ts";
import type { FdActivity } from "./fd-activity.ts";
import { lacksFds } from "./fd-activity.ts";

/** A loop that pauses its listener fails once for each pause. */
const MAX_FAILED_ACCEPTS = 3;
/** How long after a connection was closed the listener has to be watched again. */
const MAX_UNWATCHED_US = 1_000_000;
/** The accept queue has to be full for that long, each time when the program waits. */
const MIN_FULL_US = 1_000_000;

/** The interval between checks. */
const CHECK_US = 500_000;

/** A listener that is not watched anymore. */
interface Unwatched {
  /** The call that stopped watching it. */
  site: CallSite | undefined;
  /** When a connection was closed after that; undefined if none was. */
  closedUs: number | undefined;
  /** accept4 had failed before, because no file descriptor was free. */
  hasFailed: boolean;
}

interface Listener {
  readonly activity: FdActivity;
  /** It is watched for EPOLLIN. */
  isRegistered: boolean;
  /** Undefined while it is watched, or if it never was. */
  unwatched: Unwatched | undefined;
  /** Since when the accept queue has been full at each check; undefined if it was not. */
  fullSinceUs: number | undefined;
  /** The number of dropped packets when the queue became full. There are other reasons, such as TCP_DEFER_ACCEPT. */
  droppedBefore: number;
}

export class ListenerWarnings {
  readonly #context: WarningContext;
  readonly #listeners = new Map<number, Listener>();
  /** The connections that were accepted and not closed. */
  readonly #accepted = new Set<number>();

  constructor(context: WarningContext) {
    this.#context = context;
  }

  /** When `check` is due; Infinity: never. */
  dueUs: number = Infinity;

  onListen(activity: FdActivity): void {
    const { nowUs } = this.#context;
    this.#listeners.set(activity.fd, {
      activity,
      isRegistered: false,
      unwatched: undefined,
      fullSinceUs: undefined,
      droppedBefore: 0,
    });
    this.dueUs = Math.min(this.dueUs, nowUs + CHECK_US);
  }

  onAccept(event: AcceptEvent): void {
    const activity = this.#context.fds.get(event.fd);
    if (event.result >= 0) {
      this.#accepted.add(event.result);
      const unwatched = this.#listeners.get(event.fd)?.unwatched;
      if (unwatched !== undefined) unwatched.closedUs = undefined; // it is not watched, but it is served
    }
    if (activity === undefined || !lacksFds(event.result) || activity.failedAccepts < MAX_FAILED_ACCEPTS) return;
    const { fd } = event;
    const reason =
      errnoName(-event.result) === "EMFILE"
        ? "the process has reached its limit of open file descriptors (ulimit -n)"
        : "the system has reached its limit of open files (fs.file-max)";
    this.#context.log.add(activity, {
      code: "accept-failed",
      fd,
      count: activity.failedAccepts,
      site: this.#context.site,
      message:
        `accept4(${fd}) fails with ${errnoName(-event.result)} again and again: ${reason}. The connection stays in the accept queue, ` +
        "so the listener stays readable and the loop never blocks: stop watching it until a file descriptor is free",
    });
  }

  /** The registration of an fd has changed. */
  onRegistration(fd: number): void {
    const listener = this.#listeners.get(fd);
    if (listener === undefined) return;
    const hasFailed = listener.activity.failedAccepts > 0;
    listener.activity.failedAccepts = 0;
    if (this.#isWatched(fd)) {
      listener.isRegistered = true;
      listener.unwatched = undefined;
    } else {
      this.#unwatch(listener, hasFailed);
    }
  }

  #unwatch(listener: Listener, hasFailed: boolean): void {
    if (listener.unwatched !== undefined) return;
    const closedUs = this.#accepted.size === 0 && !hasFailed ? this.#context.nowUs : undefined;
    listener.isRegistered = false;
    listener.unwatched = { site: this.#context.site, closedUs, hasFailed };
  }

  /** Whether a listener has to be checked while the program waits, because epoll_wait does not report its connections. */
  get needsChecks(): boolean {
    const { log } = this.#context;
    for (const { unwatched, activity } of this.#listeners.values()) {
      if (unwatched === undefined) continue;
      if (!log.has(activity, "listener-unwatched") && !log.has(activity, "backlog-full")) return true;
    }
    return false;
  }

  /** EPOLLONESHOT ends the watch of a listener with its first event. */
  onWait({ epfd, events }: WaitEvent): void {
    if (this.#listeners.size === 0) return;
    for (const [fd] of events) {
      const listener = this.#listeners.get(fd);
      const registration = this.#context.registrations.get(epfd, fd);
      if (listener === undefined || registration === undefined || (registration.mask & EPOLLONESHOT) === 0) continue;
      listener.unwatched ??= { site: registration.site, closedUs: undefined, hasFailed: false };
    }
  }

  onClose(fd: number): void {
    this.#listeners.delete(fd);
    const wasAccepted = this.#accepted.delete(fd);
    for (const listener of this.#listeners.values()) {
      const { unwatched, isRegistered, activity } = listener;
      if (unwatched !== undefined && (wasAccepted || unwatched.hasFailed)) unwatched.closedUs ??= this.#context.nowUs;
      // If an epoll instance was closed, its registrations are gone.
      if (isRegistered && this.#context.registrations.of(activity.fd).length === 0) this.#unwatch(listener, false);
    }
  }

  /** Asks the kernel about each listener, from time to time, before the program waits. */
  check(): void {
    this.dueUs = this.#listeners.size === 0 ? Infinity : this.#context.nowUs + CHECK_US;
    for (const listener of this.#listeners.values()) {
      const queue = acceptQueue(this.#context.kernel.sys, listener.activity.fd);
      if (listener.unwatched !== undefined) this.#checkWatched(listener.activity, listener.unwatched, queue);
      if (queue !== undefined) this.#checkBacklog(listener, queue);
    }
  }

  #isWatched(fd: number): boolean {
    return this.#context.registrations.of(fd).some(({ mask }) => (mask & EPOLLIN) !== 0);
  }

  #checkWatched(activity: FdActivity, unwatched: Unwatched, queue: AcceptQueue | undefined): void {
    const { nowUs, kernel, log } = this.#context;
    const { fd } = activity;
    // A program at its limit of connections may stop watching its listener until one is closed.
    const sinceUs = unwatched.closedUs;
    if (sinceUs === undefined || nowUs - sinceUs < MAX_UNWATCHED_US || !isReadable(kernel.sys, fd)) return;
    const waiting =
      queue === undefined
        ? "connections wait"
        : queue.length === 1
          ? "1 connection waits"
          : `${queue.length} connections wait`;
    const after = unwatched.hasFailed ? "after accept4 failed, and " : "and ";
    log.add(activity, {
      code: "listener-unwatched",
      fd,
      count: queue?.length ?? 1,
      site: unwatched.site,
      message:
        `${waiting} to be accepted on fd ${fd}, which is not watched for EPOLLIN anymore: that was stopped ${after}` +
        "not resumed when a connection was closed",
    });
  }

  #checkBacklog(listener: Listener, queue: AcceptQueue): void {
    const { nowUs, log } = this.#context;
    const { activity } = listener;
    if (!isFull(queue)) {
      listener.fullSinceUs = undefined;
      return;
    }
    if (listener.fullSinceUs === undefined) {
      listener.fullSinceUs = nowUs;
      listener.droppedBefore = queue.dropped;
    }
    const dropped = queue.dropped - listener.droppedBefore;
    if (nowUs - listener.fullSinceUs < MIN_FULL_US || dropped === 0) return;
    log.add(activity, {
      code: "backlog-full",
      fd: activity.fd,
      count: dropped,
      site: activity.site,
      message:
        `the accept queue of fd ${activity.fd} is full (${queue.length} waiting, backlog ${queue.limit}), and the kernel drops ` +
        "new connections, so clients wait or time out: accept faster, or pass a larger backlog to listen",
    });
  }
}
