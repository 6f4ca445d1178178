// class WarningDetector: passes the events of a trace to the detectors of all warnings.

import type { CallSite } from "../caller-line.ts";
import type { CtlEvent, OpenEvent, TraceDetail, TransferEvent, WaitEvent } from "../events.ts";
import type { KernelView } from "../kernel-view.ts";
import type { Registration, Registrations } from "../registrations.ts";
import type { WarningContext } from "./context.ts";
import { FdActivities, recordAccept, recordTransfer } from "./fd-activity.ts";
import { IgnoredEvents } from "./ignored-events.ts";
import { ListenerWarnings } from "./listener-warnings.ts";
import { LostFds } from "./lost-fds.ts";
import { NoReply } from "./no-reply.ts";
import { type StampedWarning, WarningLog } from "./warning-log.ts";
import { Undrained } from "./undrained.ts";

/** Reading the end of a stream that often is a mistake. */
const MAX_EMPTY_READS = 10;

/** What the detectors have to know about an event besides its fields. */
export interface Observation {
  nowUs: number;
  iteration: number;
  site: CallSite | undefined;
  /** Of a close: the registrations that the fd still had. */
  closed: readonly Registration[];
  /** Of a read: the data ends with an empty line. */
  endsWithBlankLine: boolean;
}

export class WarningDetector {
  readonly #context: WarningContext;
  readonly #ignoredEvents: IgnoredEvents;
  readonly #undrained: Undrained;
  readonly #listeners: ListenerWarnings;
  readonly #lostFds: LostFds;
  readonly #noReply: NoReply;
  /** The trace of an Epoll alone has no transfers, so it does not show what the program does with its fds. */
  #hasTransfers = false;

  /** @param kernel the kernel's view of the traced process, not traced */
  constructor(registrations: Registrations, kernel: KernelView, notify: (event: StampedWarning) => void) {
    const log = new WarningLog(notify);
    const fds = new FdActivities();
    this.#context = {
      registrations,
      fds,
      log,
      kernel,
      isLate: kernel.pid !== undefined,
      nowUs: 0,
      site: undefined,
      iteration: 0,
    };
    this.#ignoredEvents = new IgnoredEvents(this.#context);
    this.#undrained = new Undrained(this.#context);
    this.#listeners = new ListenerWarnings(this.#context);
    this.#lostFds = new LostFds(this.#context);
    this.#noReply = new NoReply(this.#context);
  }

  get log(): WarningLog {
    return this.#context.log;
  }

  /**
   * How long the program may wait before `check` has to be called, in milliseconds; Infinity: as long as it wants. After `check`, the
   * program waits again.
   */
  msUntilCheck(nowUs: number): number {
    const dueUs = Math.min(
      this.#lostFds.dueUs,
      this.#noReply.dueUs,
      this.#undrained.dueUs,
      this.#listeners.needsChecks ? this.#listeners.dueUs : Infinity,
    );
    return dueUs === Infinity ? Infinity : Math.max(1, Math.ceil((dueUs - nowUs) / 1000));
  }

  /** Reports what has taken too long, if it is time for that. Called before the program waits, and from time to time while it waits. */
  check(nowUs: number): void {
    if (!this.#hasTransfers) return;
    this.#context.nowUs = nowUs;
    this.#context.site = undefined;
    for (const detector of [this.#listeners, this.#lostFds, this.#noReply, this.#undrained])
      if (nowUs >= detector.dueUs) detector.check();
  }

  /** Called before the program waits. */
  beforeWait(epfd: number, timeoutMs: number, isAway: boolean, nowUs: number): void {
    if (!this.#hasTransfers) return;
    this.#context.nowUs = nowUs;
    this.#ignoredEvents.beforeWait();
    this.#undrained.beforeWait(epfd, timeoutMs, isAway);
    this.check(nowUs);
  }

  /** Called when a program gives an fd to another owner. */
  onHandedOver(fd: number): void {
    const activity = this.#context.fds.get(fd);
    if (activity !== undefined) activity.isHandedOver = true;
    this.#lostFds.onHandedOver(fd);
    this.#noReply.onAnswered(fd);
  }

  /** Observes an event that has been reported. */
  observe(
    event: TraceDetail & { seq: number },
    { nowUs, iteration, site, closed, endsWithBlankLine }: Observation,
  ): void {
    const context = this.#context;
    context.nowUs = nowUs;
    context.iteration = iteration;
    context.site = site;
    context.log.cause = event.seq;
    switch (event.type) {
      case "listen":
        if ((event.result ?? 0) >= 0) this.#listeners.onListen(context.fds.open(event.fd, "listening", nowUs, site));
        return;
      case "open":
        return this.#onOpen(event);
      case "wait":
        return this.#onWait(event);
      case "ctl":
        return this.#onCtl(event);
      case "accept":
        this.#hasTransfers = true;
        recordAccept(context.fds.of(event.fd, nowUs), event);
        if (event.result >= 0) this.#lostFds.onAccept(context.fds.open(event.result, "accepted", nowUs, site));
        this.#undrained.onAccept(event);
        this.#listeners.onAccept(event);
        return;
      case "recv":
      case "send":
        return this.#onTransfer(event, endsWithBlankLine);
      case "connect":
      case "shutdown": {
        const activity = context.fds.of(event.fd, nowUs);
        activity.calls++;
        this.#lostFds.onUse(activity);
        return;
      }
      case "close": {
        const activity = context.fds.close(event.fd);
        this.#listeners.onClose(event.fd);
        this.#noReply.onAnswered(event.fd);
        if (this.#hasTransfers) this.#lostFds.onClose(activity, event.fd, closed);
        return;
      }
      default:
    }
  }

  #onOpen({ result, kind }: OpenEvent): void {
    if (result < 0) return;
    const { fds, nowUs, site } = this.#context;
    const activity = fds.open(result, kind === "listener" ? "listening" : "other", nowUs, site);
    activity.isStream = kind === "connection";
    if (kind !== "listener") return;
    this.#listeners.onListen(activity);
    this.#listeners.onRegistration(result); // before the trace began
  }

  #onWait(event: WaitEvent): void {
    const inner = this.#context.fds.get(event.epfd);
    if (inner !== undefined) inner.calls++; // an instance that another instance watches
    if (!this.#hasTransfers) return;
    this.#ignoredEvents.onWait(event);
    this.#undrained.onWait(event);
    this.#listeners.onWait(event);
    this.#lostFds.onWait(event);
  }

  #onCtl(event: CtlEvent): void {
    if (event.result >= 0) {
      this.#undrained.onDrained(event.fd);
      this.#listeners.onRegistration(event.fd);
    }
    this.#lostFds.onRegistration(event);
  }

  #onTransfer(event: TransferEvent, endsWithBlankLine: boolean): void {
    this.#hasTransfers = true;
    const { fds, nowUs, site, log } = this.#context;
    const { fd, type, result } = event;
    const activity = fds.of(fd, nowUs);
    recordTransfer(activity, event, site);
    this.#lostFds.onUse(activity);
    if (type === "send") {
      if (result > 0) this.#noReply.onAnswered(fd);
      return;
    }
    this.#undrained.onRead(event);
    this.#noReply.onRecv(event, activity, endsWithBlankLine);
    const { emptyReads } = activity;
    if (emptyReads < MAX_EMPTY_READS || log.count(activity, "eof-ignored", emptyReads)) return;
    log.add(activity, {
      code: "eof-ignored",
      fd,
      count: emptyReads,
      site,
      message:
        `${event.call ?? "recv"}(${fd}) returns 0 again and again: the peer has closed its side, and nothing more will arrive. ` +
        "The fd stays readable until it is unregistered or closed",
    });
  }
}
