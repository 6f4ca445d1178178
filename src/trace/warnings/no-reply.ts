// The warning no-reply: an HTTP request was received, and nothing was sent for a long time.

import type { CallSite } from "../caller-line.ts";
import type { TransferEvent } from "../events.ts";
import type { WarningContext } from "./context.ts";
import type { FdActivity } from "./fd-activity.ts";

const MAX_REPLY_US = 10_000_000;
/** Methods of requests that usually have no body, so the request is complete when its head is. */
const WITHOUT_BODY = /^(?:GET|HEAD|DELETE|OPTIONS) /;

interface PendingRequest {
  activity: FdActivity;
  line: string;
  /** When the head was complete; undefined if it is not. */
  sinceUs: number | undefined;
  site: CallSite | undefined;
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
      request = { activity, line, sinceUs: undefined, site: undefined };
      this.#requests.set(fd, request);
    }
    if (request === undefined || !endsWithBlankLine) return;
    request.sinceUs ??= this.#context.nowUs;
    request.site ??= this.#context.site;
    this.dueUs = Math.min(this.dueUs, request.sinceUs + MAX_REPLY_US);
  }

  /** Something was sent to the peer, or the fd was closed or handed over. */
  onAnswered(fd: number): void {
    if (this.#requests.size > 0) this.#requests.delete(fd);
  }

  check(): void {
    const { nowUs, log } = this.#context;
    this.dueUs = Infinity;
    for (const [fd, { activity, line, sinceUs, site }] of this.#requests) {
      if (sinceUs === undefined) continue;
      if (nowUs - sinceUs < MAX_REPLY_US) {
        this.dueUs = Math.min(this.dueUs, sinceUs + MAX_REPLY_US);
        continue;
      }
      this.#requests.delete(fd);
      log.add(activity, {
        code: "no-reply",
        fd,
        site,
        message: `fd ${fd} received a request ${Math.round((nowUs - sinceUs) / 1e6)} s ago (${line}), and nothing was sent since`,
      });
    }
  }
}
