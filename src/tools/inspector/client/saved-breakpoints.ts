// The breakpoints of a saved trace, which exist only in the page: the server has nothing to stop.

import type { TraceEvent } from "../../../trace/events.ts";
import { StopConditions } from "../../debugger/stop-conditions.ts";
import type { Breakpoint } from "../../debugger/thread-messages.ts";
import type { ListedBreakpoint } from "../messages.ts";

export class SavedBreakpoints {
  list: ListedBreakpoint[] = [];
  #nextId = 1;

  add(on: Breakpoint["on"], value: number | string): void {
    const breakpoint: ListedBreakpoint = {
      id: this.#nextId++,
      on,
      value,
      hits: 0,
      condition: undefined,
      isEnabled: true,
      owner: "page",
    };
    this.list = [...this.list, breakpoint];
  }

  remove(id: number): void {
    this.list = this.list.filter((breakpoint) => breakpoint.id !== id);
  }

  /** Returns a predicate for the events that match a breakpoint. */
  matcher(): (event: TraceEvent) => boolean {
    const conditions = new StopConditions({ kind: "continue" }, { isTrue: () => true, valueOf: () => "" });
    conditions.breakpoints = this.list.map((breakpoint) => ({ ...breakpoint, isTemporary: false, ignore: 0 }));
    return (event) => conditions.reasonToStop(event) !== undefined;
  }
}
