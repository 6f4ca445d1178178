// The warnings busy-loop, hangup-ignored and idle-epollout: epoll_wait reports an fd again and again, and the program does nothing.

import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLONESHOT, EPOLLOUT } from "../../kernel/constants.ts";
import { formatMask } from "../../kernel/format-mask.ts";
import type { WaitEvent } from "../events.ts";
import { bytesRead, pollFds } from "../kernel-queries.ts";
import type { Registration } from "../registrations.ts";
import type { WarningContext } from "./context.ts";

/** An fd is ignored if this many waits in a row have reported it, and no call has used it. */
const BUSY_WAITS = 100;
const HANGUP_WAITS = 50;
const IDLE_EPOLLOUT_WAITS = 50;
/** The kernel has to confirm in this many waits in a row that nothing else has read what was reported. */
const CONFIRMATIONS = 3;

const HANGUP = EPOLLHUP | EPOLLERR;

/** How a registration has been handled. */
interface State {
  /** The number of calls on the fd when it was last reported. */
  calls: number;
  sends: number;
  mask: number;
  /** The number of the instance's wait that last reported it. */
  wait: number;
  /** The number of waits in a row that reported it, with no call on the fd in between. */
  ignored: number;
  ignoredHangups: number;
  /** The number of waits in a row that reported EPOLLOUT, with nothing sent in between. */
  unusedEpollouts: number;
  confirmations: number;
  /** What the kernel says has been read at the last confirmation. */
  bytesRead: number | undefined;
  /** The number of waits that have ignored it before. */
  ignoredBefore: number;
}

export class IgnoredEvents {
  readonly #context: WarningContext;
  readonly #states = new WeakMap<Registration, State>();
  /** The number of waits of each instance that had room for all ready fds. */
  readonly #waits = new Map<number, number>();
  /** Registrations that seem to be ignored, until the kernel confirms it. */
  readonly #suspects = new Set<Registration>();

  constructor(context: WarningContext) {
    this.#context = context;
  }

  onWait(event: WaitEvent): void {
    const { epfd, timeoutMs, maxEvents, result, events, awayUs } = event;
    // A program that polls with timeout 0 does not rely on epoll_wait to block. In Bun's event loop, the thread has waited before.
    if (timeoutMs === 0 && awayUs === undefined) return;
    const wait = (this.#waits.get(epfd) ?? 0) + 1;
    if (result < maxEvents) this.#waits.set(epfd, wait); // otherwise some ready fds may not have been reported
    for (const [fd, mask] of events) {
      const registration = this.#context.registrations.get(epfd, fd);
      // An edge-triggered fd is only reported when something new has happened.
      if (registration === undefined || (registration.mask & (EPOLLET | EPOLLONESHOT)) !== 0) continue;
      this.#onReported(registration, mask, wait);
    }
  }

  /** Before a wait: what the last one reported must still be so. Otherwise code that is not traced has handled it. */
  beforeWait(): void {
    for (const registration of this.#suspects) this.#confirm(registration);
  }

  #onReported(registration: Registration, ready: number, wait: number): void {
    const { fd } = registration;
    const { calls, sends } = this.#context.fds.of(fd, this.#context.nowUs);
    let state = this.#states.get(registration);
    if (state === undefined || state.mask !== registration.mask || wait - state.wait > 1) {
      const { mask } = registration;
      const zero = { ignored: 0, ignoredHangups: 0, unusedEpollouts: 0, confirmations: 0, ignoredBefore: 0 };
      this.#states.set(registration, (state = { calls, sends, mask, wait, bytesRead: undefined, ...zero }));
      this.#suspects.delete(registration);
      return;
    }
    state.wait = wait;
    const isUsed = calls !== state.calls;
    const isHangup = (ready & HANGUP) !== 0;
    if (isUsed && state.ignored >= BUSY_WAITS) state.ignoredBefore += state.ignored;
    state.ignored = isUsed || isHangup || (ready & ~EPOLLOUT) === 0 ? 0 : state.ignored + 1;
    state.ignoredHangups = isUsed || !isHangup ? 0 : state.ignoredHangups + 1;
    state.unusedEpollouts =
      isHangup || (ready & EPOLLOUT) === 0 || sends !== state.sends ? 0 : state.unusedEpollouts + 1;
    state.calls = calls;
    state.sends = sends;
    const { log } = this.#context;
    const { ignored, ignoredHangups, unusedEpollouts } = state;
    if (ignored === 0) state.confirmations = 0;
    if (ignored >= BUSY_WAITS && !log.count(registration, "busy-loop", state.ignoredBefore + ignored))
      this.#suspects.add(registration);
    if (ignoredHangups >= HANGUP_WAITS && !log.count(registration, "hangup-ignored", ignoredHangups)) {
      this.#reportHangup(registration, ready, ignoredHangups);
    }
    if (unusedEpollouts >= IDLE_EPOLLOUT_WAITS && !log.count(registration, "idle-epollout", unusedEpollouts)) {
      this.#reportEpollout(registration, unusedEpollouts);
    }
  }

  #confirm(registration: Registration): void {
    const { fd, epfd, mask, site } = registration;
    const state = this.#states.get(registration);
    const activity = this.#context.fds.get(fd);
    if (state === undefined || activity === undefined || activity.calls !== state.calls || state.mask !== mask) {
      this.#suspects.delete(registration);
      return;
    }
    const { sys } = this.#context.kernel;
    const [ready = 0] = pollFds(sys, [[fd, mask]]);
    const read = bytesRead(sys, fd);
    const isBeingRead = state.confirmations > 0 && read !== state.bytesRead;
    state.bytesRead = read;
    if ((ready & ~EPOLLOUT) === 0 || isBeingRead) {
      state.ignored = state.confirmations = 0;
      this.#suspects.delete(registration);
      return;
    }
    if (++state.confirmations < CONFIRMATIONS) return;
    this.#suspects.delete(registration);
    const missing = (ready & EPOLLIN) !== 0 ? "read" : "handled";
    this.#context.log.add(registration, {
      code: "busy-loop",
      fd,
      epfd,
      count: state.ignored,
      site,
      message:
        `busy loop: fd ${fd} is ready (${formatMask(ready & ~EPOLLOUT)}), but it is never ${missing}, ` +
        `so epoll_wait(${epfd}) reports it again and never blocks`,
    });
  }

  #reportHangup(registration: Registration, ready: number, count: number): void {
    const { fd, epfd, site } = registration;
    const events = formatMask(ready & HANGUP);
    this.#context.log.add(registration, {
      code: "hangup-ignored",
      fd,
      epfd,
      count,
      site,
      message:
        `fd ${fd} is reported with ${events} again and again, and nothing is done: ` +
        `${events} is always reported, whatever the mask, until the fd is unregistered or closed`,
    });
  }

  #reportEpollout(registration: Registration, count: number): void {
    const { fd, epfd, site } = registration;
    this.#context.log.add(registration, {
      code: "idle-epollout",
      fd,
      epfd,
      count,
      site,
      message:
        `fd ${fd} is watched for EPOLLOUT, but nothing is sent, so epoll_wait(${epfd}) reports it again and again: ` +
        "register EPOLLOUT only while output is pending",
    });
  }
}
