// The warning no-reply: an HTTP request was received, nothing was sent for a long time, and nothing can cause a reply but a client.

import type { CallSite } from "../caller-line.ts";
import type { TransferEvent } from "../events.ts";
import { tcpInfo } from "../kernel-queries.ts";
import type { WarningContext } from "./context.ts";
import type { FdActivity } from "./fd-activity.ts";

const MAX_REPLY_US = 10_000_000;
/** Methods of requests that usually have no body, so the request is complete when its head is. */
const WITHOUT_BODY = /^(?:GET|HEAD|DELETE|OPTIONS) /;

/** A promise that was garbage-collected before it settled can be resolved by no one. */
const HANDLER_NEVER_SETTLES = "its handler waits for a promise that can no longer settle, because nothing refers to it";

interface PendingRequest {
  activity: FdActivity;
  line: string;
  /** When the head was complete; undefined if it is not. */
  sinceUs: number | undefined;
  site: CallSite | undefined;
  /** When it is to be checked. */
  dueUs: number;
  /** The promise that the handler returned. */
  handler: WeakRef<Promise<unknown>> | undefined;
}

export class NoReply {
  readonly #context: WarningContext;
  readonly #requests = new Map<number, PendingRequest>();
  /** When `check` is due; Infinity: never. */
  dueUs: number = Infinity;

  constructor(context: WarningContext) {
    this.#context = context;
  }

  /** @param endsWithBlankLine the received data ends with an empty line, as a head does */
  onRecv({ fd, line, result }: TransferEvent, activity: FdActivity, endsWithBlankLine: boolean): void {
    if (result <= 0) return;
    let request = this.#requests.get(fd);
    if (line !== undefined && WITHOUT_BODY.test(line)) {
      request = { activity, line, sinceUs: undefined, site: undefined, dueUs: Infinity, handler: undefined };
      this.#requests.set(fd, request);
    }
    if (request === undefined || !endsWithBlankLine || request.sinceUs !== undefined) return;
    const { nowUs, site } = this.#context;
    request.sinceUs = nowUs;
    request.site = site;
    request.dueUs = nowUs + MAX_REPLY_US;
    this.dueUs = Math.min(this.dueUs, request.dueUs);
  }

  /** The handler of the request has returned a promise. */
  onHandlerPending(fd: number, promise: Promise<unknown>): void {
    const request = this.#requests.get(fd);
    if (request !== undefined) request.handler = new WeakRef(promise);
  }

  /** Something was sent to the peer, or the fd was closed or handed over. */
  onAnswered(fd: number): void {
    if (this.#requests.size > 0) this.#requests.delete(fd);
  }

  check(): void {
    const { nowUs, log } = this.#context;
    this.dueUs = Infinity;
    for (const [fd, request] of this.#requests) {
      const { activity, line, sinceUs, site, handler } = request;
      if (sinceUs === undefined) continue;
      const isDue = nowUs >= request.dueUs;
      if (isDue && handler?.deref() !== undefined) request.dueUs = nowUs + MAX_REPLY_US; // it may still settle
      if (nowUs < request.dueUs) {
        this.dueUs = Math.min(this.dueUs, request.dueUs);
        continue;
      }
      this.#requests.delete(fd);
      const reason = handler === undefined ? this.#reasonOfProgram(request) : HANDLER_NEVER_SETTLES;
      if (reason === undefined) continue;
      const seconds = Math.round((nowUs - sinceUs) / 1e6);
      log.add(activity, {
        code: "no-reply",
        fd,
        site,
        message: `fd ${fd} received a request ${seconds} s ago (${line}), and nothing was sent since: ${reason}`,
      });
    }
  }

  /** Returns why a program without handlers will not reply; undefined if it may. */
  #reasonOfProgram({ activity }: PendingRequest): string | undefined {
    if (!this.#waitsForClientsOnly(activity.fd) || this.#wasSentElsewhere(activity)) return undefined;
    return "the program waits without a timeout, and only for its clients";
  }

  /**
   * Whether no timer and no other source can cause the reply. In long polling, one of them does: a timeout of epoll_wait, a timerfd,
   * an eventfd, a connection to another server, or anything on Bun's event loop.
   */
  #waitsForClientsOnly(client: number): boolean {
    const { waitsIn, registrations, fds } = this.#context;
    if (waitsIn === undefined) return false;
    for (const { fd } of registrations.in(waitsIn)) {
      if (fd !== client && (fds.get(fd)?.origin ?? "other") === "other") return false;
    }
    return true;
  }

  /** Whether code that is not traced, such as an addon, has sent something. */
  #wasSentElsewhere({ fd, sends }: FdActivity): boolean {
    return sends === 0 && (tcpInfo(this.#context.kernel.sys, fd)?.bytesSent ?? 0) > 0;
  }
}
