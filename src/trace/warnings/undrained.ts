// The warning undrained: an edge-triggered fd was not read until EAGAIN, and the program waits, although more is left.

import { EPOLLET, EPOLLIN } from "../../kernel/constants.ts";
import type { AcceptEvent, TransferEvent, WaitEvent } from "../events.ts";
import { acceptQueue, isReadable } from "../kernel-queries.ts";
import type { Registration } from "../registrations.ts";
import type { WarningContext } from "./context.ts";

const FIONREAD = 0x541b;
/** The size of a read from an eventfd or timerfd, which returns the whole counter. */
const COUNTER_BYTES = 8;
/** If the events are observed late: how long nothing more may be reported, so that what is unread was left, and did not arrive later. */
const CONFIRM_US = 50_000;
/** In Bun's event loop, the program may read the rest later. */
const MAX_AWAY_US = 100_000;

export class Undrained {
  readonly #context: WarningContext;
  /** The edge-triggered registrations that were reported readable and not read until EAGAIN, and when they were reported. */
  readonly #pending = new Map<Registration, number>();

  /** Those that the program seems to have left unread, until it is certain that nothing has arrived since, and when they were noticed. */
  readonly #suspects = new Map<Registration, number>();

  constructor(context: WarningContext) {
    this.#context = context;
  }

  /** When `check` is due; Infinity: never. */
  get dueUs(): number {
    const [noticedUs] = this.#suspects.values();
    return noticedUs === undefined ? Infinity : noticedUs + CONFIRM_US;
  }

  /** Reports the fds that are still unread, although epoll_wait has not reported them since. */
  check(): void {
    for (const [registration, noticedUs] of this.#suspects) {
      if (this.#context.nowUs - noticedUs < CONFIRM_US) return;
      this.#suspects.delete(registration);
      if (this.#context.registrations.get(registration.epfd, registration.fd) === registration)
        this.#report(registration);
    }
  }

  onWait({ epfd, events }: WaitEvent): void {
    const { registrations, nowUs } = this.#context;
    for (const [fd, mask] of events) {
      const registration = registrations.get(epfd, fd);
      if (registration === undefined || (registration.mask & EPOLLET) === 0 || (mask & EPOLLIN) === 0) continue;
      this.#pending.set(registration, nowUs);
      this.#suspects.delete(registration);
    }
  }

  onRead({ fd, result, wanted, call }: TransferEvent): void {
    if (this.#pending.size === 0 && this.#suspects.size === 0) return;
    // epoll(7): a stream that returns fewer bytes than asked for has no more. A counter (eventfd, timerfd) is read as a whole.
    const isMessage = call !== undefined && call !== "read"; // after a datagram, another one may follow
    if (result >= 0 && (isMessage || (result >= wanted && !(call === "read" && wanted === COUNTER_BYTES)))) return;
    this.onDrained(fd);
  }

  onAccept({ fd, result }: AcceptEvent): void {
    if (result < 0) this.onDrained(fd);
  }

  /** The fd was read until EAGAIN, or registered again, which reports what is left. */
  onDrained(fd: number): void {
    if (this.#pending.size === 0 && this.#suspects.size === 0) return;
    for (const registration of this.#context.registrations.of(fd)) {
      this.#pending.delete(registration);
      this.#suspects.delete(registration);
    }
  }

  /** @param isAway the program waits in Bun's event loop, where it may also do other things first */
  beforeWait(epfd: number, timeoutMs: number, isAway: boolean): void {
    if (this.#pending.size === 0 || (timeoutMs === 0 && !isAway)) return; // it does not block: the program may read the rest later
    for (const [registration, sinceUs] of this.#pending) {
      if (this.#context.registrations.get(registration.epfd, registration.fd) !== registration) {
        this.#pending.delete(registration); // unregistered or closed
      } else if (registration.epfd === epfd && !(isAway && this.#context.nowUs - sinceUs < MAX_AWAY_US)) {
        this.#pending.delete(registration);
        if (this.#context.isLate) this.#suspects.set(registration, this.#context.nowUs);
        else this.#report(registration);
      }
    }
  }

  #report(registration: Registration): void {
    const {
      kernel: { sys },
      fds,
      log,
    } = this.#context;
    const { fd, epfd } = registration;
    const bytes = sys.ioctl(fd, FIONREAD);
    if (bytes === 0 || !isReadable(sys, fd)) return; // it was read exactly until the end, or by code that is not traced
    const queue = acceptQueue(sys, fd);
    const activity = fds.get(fd);
    const isListener = queue !== undefined || activity?.origin === "listening";
    const left =
      bytes > 0 ? count(bytes, "byte") : queue === undefined ? "something" : count(queue.length, "connection");
    const goes = left.startsWith("1 ") || left === "something" ? "is" : "are";
    log.add(registration, {
      code: "undrained",
      fd,
      epfd,
      site: activity?.readSite ?? registration.site,
      message:
        `fd ${fd} is edge-triggered, but was not ${isListener ? "accepted from" : "read"} until EAGAIN: ` +
        `${left} ${goes} left, and epoll_wait(${epfd}) does not report that again`,
    });
  }
}

function count(number: number, unit: string): string {
  return `${number} ${unit}${number === 1 ? "" : "s"}`;
}
