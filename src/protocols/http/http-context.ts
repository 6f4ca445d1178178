// The state that all HTTP connections of a server share: limits, counters, the server's responses, the application's callbacks.

import type { Buffer } from "node:buffer";
import type { Clock } from "../../kernel/clock.ts";
import type { Syscalls } from "../../kernel/ffi.ts";
import type { BufferBudget } from "../buffer-budget.ts";
import type { ProtocolConnection } from "../protocol.ts";
import { Application, type ApplicationCallbacks } from "./application.ts";
import { DateHeader } from "./date-header.ts";
import { FileOpener } from "./file-source.ts";
import type { HeadLimits } from "./read-head.ts";
import { noRejections, type RejectionCounts, type RejectionReason } from "./rejection.ts";
import type { RequestHead } from "./request-head.ts";
import { ServerResponses } from "./server-responses.ts";
import type { SerializedResponse, StaticResponse } from "./static-response.ts";

export interface HttpLimits extends HeadLimits {
  maxBodyBytes: number;
  maxRequestsPerConnection: number;
  bodyTimeoutMs: number;
  minBodyRate: number;
}

export interface HttpOptions extends HttpLimits, ApplicationCallbacks {
  /** The response to every request, if there is no fetch handler. */
  response: StaticResponse;
  /** Whether connections stay open for another request. */
  keepAlive: boolean;
  clock: Clock;
  sys: Syscalls;
  budget: BufferBudget;
}

/** Reads requests, and immediately answers those that need no state per connection. */
export interface RequestReader {
  /** Reads the head that begins at `start`: see `readHead`. */
  readHead(bytes: Buffer, start: number, end: number): RequestHead | RejectionReason | undefined;
  /**
   * Answers requests as long as their heads are simple and the responses are ready immediately.
   *
   * @returns how many bytes these requests had
   */
  answer(connection: ProtocolConnection, bytes: Buffer, start: number, end: number): number;
}

/** A connection whose handlers may wait for Bun's event loop. */
export interface WaitingConnection {
  /** Fails the exchanges that cannot continue while Bun's event loop is blocked; returns whether there were any. */
  failBlockedRequests(): boolean;
}

export class HttpContext {
  readonly limits: HttpLimits;
  /** How many bytes of a body must arrive within each `bodyTimeoutMs`. */
  readonly minBodyBytes: number;
  readonly budget: BufferBudget;
  readonly application: Application;
  readonly files: FileOpener;
  readonly responses: ServerResponses;
  readonly date: DateHeader;
  /** Whether connections stay open for another request; false after `stop()`. */
  keepAlive: boolean;
  /**
   * Whether microtasks may run within an iteration: then a handler that awaits only what is there already gets its response without
   * any state. Not in `tick`, which other code may have called.
   */
  mayRunMicrotasks: boolean = false;
  /** The number of requests whose head was accepted. */
  requests: number = 0;
  /** The number of requests whose response was not sent completely. */
  pendingRequests: number = 0;
  readonly rejectedBy: RejectionCounts = noRejections();
  /** Called for each handler that returned a promise, if the server is traced. */
  onPending: ((fd: number, promise: Promise<unknown>) => void) | undefined;
  /** Connections with exchanges that have made progress since `failBlockedRequests` last examined them. */
  readonly waiting: Set<WaitingConnection> = new Set<WaitingConnection>();
  readonly #clock: Clock;

  constructor(options: HttpOptions) {
    this.limits = options;
    this.minBodyBytes = Math.max(1, Math.min((options.minBodyRate * options.bodyTimeoutMs) / 1000, 2 ** 53));
    this.budget = options.budget;
    this.keepAlive = options.keepAlive;
    this.responses = new ServerResponses(options.response, options.clock);
    this.files = new FileOpener(options.sys);
    this.application = new Application(options, this.files);
    this.date = new DateHeader(options.clock);
    this.#clock = options.clock;
  }

  /** Updates the Date of all responses. */
  updateDate(nowMs: number = this.#clock.now()): void {
    if (this.date.update(nowMs)) this.responses.updateDate(nowMs);
  }

  /** Counts a rejection and returns its response. */
  reject(reason: RejectionReason): SerializedResponse {
    this.rejectedBy[reason]++;
    return this.responses.rejection(reason);
  }
}
