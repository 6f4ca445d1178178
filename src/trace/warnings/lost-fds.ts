// The warnings never-registered, fd-leak and closed-while-registered: an fd that the program has lost track of.

import { EPOLLHUP, EPOLLIN, EPOLLRDHUP, F_GETFD } from "../../kernel/constants.ts";
import { EBADF, ENOENT, errnoName } from "../../kernel/errno.ts";
import type { CallSite } from "../caller-line.ts";
import type { CtlEvent, WaitEvent } from "../events.ts";
import { bytesRead, pollFds, tcpInfo } from "../kernel-queries.ts";
import type { Registration } from "../registrations.ts";
import type { WarningContext } from "./context.ts";
import type { FdActivity } from "./fd-activity.ts";

/** How long an accepted connection may be left alone. */
const MAX_UNUSED_US = 2_000_000;
/** An fd that was unregistered has to be closed within this time and this number of iterations. */
const MAX_UNREGISTERED_US = 1_000_000;
const MAX_UNREGISTERED_ITERATIONS = 100;
/** The same for a loop that runs fewer iterations. */
const MAX_UNREGISTERED_IDLE_US = 5_000_000;
/** The maximum number of closed fds to remember. */
const MAX_CLOSED = 1_000;
/** Reading the interest list takes long if it is longer than this: then it is read once a second. */
const MAX_LIST = 256;
const MIN_READ_INTERVAL_US = 1_000_000;

const FIONREAD = 0x541b;

interface Unregistered {
  activity: FdActivity;
  calls: number;
  sinceUs: number;
  iteration: number;
  site: CallSite | undefined;
}

/** A registration whose fd was closed. */
interface ClosedRegistration {
  registration: Registration;
  site: CallSite | undefined;
}

export class LostFds {
  readonly #context: WarningContext;
  /** Accepted connections with which nothing has been done. */
  readonly #unused = new Set<FdActivity>();
  /** Accepted connections that were unregistered and not closed. */
  readonly #unregistered = new Map<number, Unregistered>();
  /** Fds that were closed while they were registered, by fd. */
  readonly #closed = new Map<number, ClosedRegistration>();
  #listReadUs = -Infinity;

  constructor(context: WarningContext) {
    this.#context = context;
  }

  /** When `check` is due; Infinity: never. */
  dueUs: number = Infinity;

  onAccept(activity: FdActivity): void {
    this.#unused.add(activity);
    this.#isDueIn(MAX_UNUSED_US);
    this.#unregistered.delete(activity.fd);
    this.#closed.delete(activity.fd);
  }

  /** A call has used the fd. */
  onUse(activity: FdActivity): void {
    if (this.#unused.size > 0) this.#unused.delete(activity);
  }

  onHandedOver(fd: number): void {
    const activity = this.#context.fds.get(fd);
    if (activity !== undefined) this.#unused.delete(activity);
    this.#unregistered.delete(fd);
  }

  onRegistration({ fd, op, epfd, result }: CtlEvent): void {
    if (result < 0) return this.#onFailedCall(fd, op, epfd, result);
    const activity = this.#context.fds.get(fd);
    if (activity !== undefined) this.#unused.delete(activity);
    if (op === "ADD") this.#closed.delete(fd);
    if (op !== "DEL") {
      this.#unregistered.delete(fd);
    } else if (activity?.origin === "accepted" && this.#context.registrations.of(fd).length === 0) {
      const { nowUs, iteration, site } = this.#context;
      this.#unregistered.set(fd, { activity, calls: activity.calls, sinceUs: nowUs, iteration, site });
      this.#isDueIn(MAX_UNREGISTERED_US);
    }
  }

  /** Reports a registration that has outlived its fd: epoll(7), question 6. */
  onWait({ epfd, events }: WaitEvent): void {
    if (this.#closed.size === 0) return;
    for (const [fd] of events) {
      const closed = this.#closed.get(fd);
      if (closed?.registration.epfd === epfd && this.#context.registrations.get(epfd, fd) === undefined) {
        this.#reportDuplicate(closed.registration, closed.site);
      }
    }
  }

  onClose(activity: FdActivity | undefined, fd: number, registrations: readonly Registration[]): void {
    if (activity !== undefined) this.#unused.delete(activity);
    this.#unregistered.delete(fd);
    const { site } = this.#context;
    for (const registration of registrations) {
      this.#closed.set(fd, { registration, site });
      if (this.#closed.size > MAX_CLOSED) this.#closed.delete(this.#closed.keys().next().value as number);
      // If the list is read later, another file may have the number, and be registered.
      if (!this.#context.isLate && this.#isStillRegistered(registration)) this.#reportDuplicate(registration, site);
    }
  }

  /** Looks at each suspect, from time to time. */
  check(): void {
    this.dueUs = Infinity;
    for (const activity of this.#unused) this.#checkUnused(activity);
    for (const unregistered of this.#unregistered.values()) this.#checkUnregistered(unregistered);
  }

  #isDueIn(us: number): void {
    this.dueUs = Math.min(this.dueUs, this.#context.nowUs + us);
  }

  /** Whether the kernel still watches the file, because a duplicate keeps it open. */
  #isStillRegistered({ epfd, fd }: Registration): boolean {
    const { nowUs } = this.#context;
    if (nowUs - this.#listReadUs < MIN_READ_INTERVAL_US) return false;
    try {
      const list = this.#context.kernel.interestList(epfd);
      if (list.length > MAX_LIST) this.#listReadUs = nowUs;
      return list.some((interest) => interest.fd === fd);
    } catch {
      return false; // the instance is closed
    }
  }

  #reportDuplicate(registration: Registration, site: CallSite | undefined): void {
    const { epfd, fd } = registration;
    this.#context.log.add(registration, {
      code: "closed-while-registered",
      fd,
      epfd,
      site,
      message:
        `fd ${fd} was closed while it was registered with epoll fd ${epfd}, and a duplicate keeps its file open: ` +
        `epoll_wait(${epfd}) goes on reporting fd ${fd}, which cannot be unregistered anymore. Unregister before you close`,
    });
  }

  /** epoll_ctl has failed: the program may believe that a closed fd is still registered. */
  #onFailedCall(fd: number, op: CtlEvent["op"], epfd: number, result: number): void {
    const closed = this.#closed.get(fd);
    if (op === "ADD" || (result !== -EBADF && result !== -ENOENT) || closed?.registration.epfd !== epfd) return;
    this.#context.log.add(closed.registration, {
      code: "closed-while-registered",
      fd,
      epfd,
      site: closed.site,
      message:
        `fd ${fd} was closed while it was registered with epoll fd ${epfd}, and epoll_ctl(${op}) fails afterwards with ` +
        `${errnoName(-result)}: the program still has it in its own list. Unregister before you close`,
    });
  }

  #checkUnused(activity: FdActivity): void {
    const {
      nowUs,
      log,
      kernel: { sys },
    } = this.#context;
    const { fd } = activity;
    const ageUs = nowUs - activity.sinceUs;
    if (ageUs < MAX_UNUSED_US) return this.#isDueIn(MAX_UNUSED_US - ageUs);
    this.#unused.delete(activity);
    if (activity.isHandedOver || sys.fcntl(fd, F_GETFD, 0) < 0) return;
    const bytes = Math.max(0, sys.ioctl(fd, FIONREAD));
    if (this.#isUsedElsewhere(fd)) return;
    const waiting = bytes > 0 ? `, although ${bytes === 1 ? "1 byte waits" : `${bytes} bytes wait`} to be read` : "";
    log.add(activity, {
      code: "never-registered",
      fd,
      site: activity.site,
      message:
        `fd ${fd} was accepted ${seconds(ageUs)} ago, and nothing was done with it since: ` +
        `it is not registered with epoll, not read and not closed${waiting}`,
    });
  }

  #checkUnregistered({ activity, calls, sinceUs, iteration, site }: Unregistered): void {
    const {
      nowUs,
      log,
      kernel: { sys },
      iteration: now,
    } = this.#context;
    const { fd } = activity;
    const isLate = now - iteration >= MAX_UNREGISTERED_ITERATIONS && nowUs - sinceUs >= MAX_UNREGISTERED_US;
    const ageUs = nowUs - sinceUs;
    if (!isLate && ageUs < MAX_UNREGISTERED_IDLE_US) {
      const isYoung = ageUs < MAX_UNREGISTERED_US;
      return this.#isDueIn(
        isYoung ? MAX_UNREGISTERED_US - ageUs : Math.min(MAX_UNREGISTERED_US, MAX_UNREGISTERED_IDLE_US - ageUs),
      );
    }
    this.#unregistered.delete(fd);
    if (activity.calls !== calls || activity.isHandedOver || sys.fcntl(fd, F_GETFD, 0) < 0) return; // it is in use
    // A program may unregister a connection to stop reading from it. Then more arrives.
    const [ready = 0] = pollFds(sys, [[fd, EPOLLIN | EPOLLRDHUP]]);
    const hasPeerClosed = (ready & (EPOLLRDHUP | EPOLLHUP)) !== 0;
    if (!hasPeerClosed && ready !== 0) return;
    log.add(activity, {
      code: "fd-leak",
      fd,
      site,
      message:
        `fd ${fd} was accepted and unregistered, but it is still open ${seconds(ageUs)} later` +
        `${hasPeerClosed ? ", although the peer has closed its side" : ""}: close it`,
    });
  }

  /** Whether code that is not traced, such as an addon, uses the connection: it has read or sent something. */
  #isUsedElsewhere(fd: number): boolean {
    const { sys } = this.#context.kernel;
    const info = tcpInfo(sys, fd);
    if (info === undefined) return false;
    const end = info.state === "ESTABLISHED" ? 0 : 1;
    return (info.bytesSent ?? 0) > 0 || (bytesRead(sys, fd) ?? 0) > end;
  }
}

function seconds(us: number): string {
  return `${Math.round(us / 1e5) / 10} s`;
}
