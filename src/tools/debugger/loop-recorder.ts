// class LoopRecorder: what the inspector keeps of every event of a loop, for queries: recent events, open fds and timings.

import type { TraceEvent } from "../../trace/events.ts";
import { EventRing } from "./event-ring.ts";
import { FdLedger } from "./fd-ledger.ts";
import type { FdTable } from "./fd-table.ts";
import { LoopTimings } from "./loop-timings.ts";

export class LoopRecorder {
  readonly ring: EventRing = new EventRing();
  readonly ledger: FdLedger;
  readonly #timings: LoopTimings;

  /**
   * @param table to which events are applied before they are observed here
   * @param timings TIMINGS_BYTES of memory
   */
  constructor(table: FdTable, timings: SharedArrayBuffer) {
    this.ledger = new FdLedger(table);
    this.#timings = new LoopTimings(timings);
  }

  observe(event: TraceEvent): void {
    this.ring.push(event);
    this.ledger.observe(event);
    this.#timings.observe(event);
  }
}
