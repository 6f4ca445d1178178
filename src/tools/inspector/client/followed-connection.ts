// The connection that the page follows: its events since it was opened, loaded from the server or from a saved trace.

import { type ConnectionEvent, type ConnectionQuery, EventRing } from "../../debugger/event-ring.ts";
import type { ConnectionResponse } from "../messages.ts";
import type { EventHistory } from "./event-history.ts";

/** The most events that are shown. */
const MAX_EVENTS = 2_000;
const REFRESH_INTERVAL_MS = 500;

/** Resolves to a sentence if the server does not answer the query. */
export type LoadConnection = (query: ConnectionQuery) => Promise<ConnectionResponse | string>;

export class FollowedConnection {
  readonly fd: number;
  readonly pid: number | undefined;
  /** When it was opened, in microseconds since the trace began. */
  readonly openedUs: number;
  /** The peer's address, as far as it is known. */
  readonly address: string;
  /** Replaced when there are new events. */
  events: readonly ConnectionEvent[] = [];
  /** Earlier events are not kept. */
  isTruncated: boolean = false;
  isClosed: boolean = false;
  error: string | undefined;

  readonly #load: LoadConnection;
  readonly #onChange: () => void;
  #isLoading = false;
  #nextRefreshMs = 0;

  constructor(
    { fd, pid, openedUs, address }: { fd: number; pid?: number | undefined; openedUs: number; address: string },
    load: LoadConnection,
    onChange: () => void,
  ) {
    this.fd = fd;
    this.pid = pid;
    this.openedUs = openedUs;
    this.address = address;
    this.#load = load;
    this.#onChange = onChange;
  }

  /** Bytes received and sent in the events that are kept. */
  get bytes(): { received: number; sent: number } {
    const sum = (type: string): number =>
      this.events.reduce((total, { event }) => {
        return event.type === type && "result" in event && event.result > 0 ? total + event.result : total;
      }, 0);
    return { received: sum("recv"), sent: sum("send") };
  }

  /** Loads new events, unless that was done a moment ago or the connection is closed. */
  async refresh(): Promise<void> {
    if (this.#isLoading || this.isClosed || performance.now() < this.#nextRefreshMs) return;
    this.#isLoading = true;
    const afterSeq = this.events.at(-1)?.event.seq ?? 0;
    const result = await this.#load({ fd: this.fd, pid: this.pid, openedUs: this.openedUs, afterSeq });
    this.#isLoading = false;
    this.#nextRefreshMs = performance.now() + REFRESH_INTERVAL_MS;
    if (typeof result === "string") {
      this.error = result;
    } else {
      this.error = undefined;
      this.isClosed = result.isClosed;
      this.isTruncated ||= result.isTruncated;
      if (result.events.length > 0) this.events = [...this.events, ...result.events].slice(-MAX_EVENTS);
    }
    this.#onChange();
  }
}

/** Returns the events of a connection in a history, which has all events of a saved trace. */
export function eventsInHistory(history: EventHistory, query: ConnectionQuery): ConnectionResponse {
  const ring = new EventRing(Math.max(1, history.end - history.start));
  for (let position = history.start; position < history.end; position++) {
    const event = history.event(position);
    if (event !== undefined) ring.push(event);
  }
  return ring.eventsOf(query);
}
