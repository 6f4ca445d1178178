// The part of the table of file descriptors that the page shows: the query, and the rows that match it.

import type { FdPage, FdQuery } from "../fd-query.ts";
import type { FdColumn } from "../fd-row.ts";

/** The rows that are loaded around those that are visible. */
const WINDOW = 120;
const MARGIN = 40;
/** The shortest interval between two queries that nobody has asked for. It is longer if queries take long. */
const REFRESH_INTERVAL_MS = 500;
const LOAD_RATIO = 5;

/** Runs a query; resolves to a sentence if the filter is invalid, and to undefined if there is no answer. */
export type LoadFds = (query: FdQuery) => Promise<FdPage | string | undefined>;

export class FdList {
  filter: string = "";
  column: FdColumn = "fd";
  isDescending: boolean = false;
  page: FdPage = { rows: [], offset: 0, matching: 0, total: 0 };
  /** What is wrong with the filter. */
  error: string | undefined;

  readonly #load: LoadFds;
  readonly #onChange: () => void;
  #offset = 0;
  #isLoading = false;
  /** The query has changed while another one was in progress. */
  #isStale = false;
  #nextRefreshMs = 0;

  constructor(load: LoadFds, onChange: () => void) {
    this.#load = load;
    this.#onChange = onChange;
  }

  setFilter(filter: string): void {
    if (filter === this.filter) return;
    this.filter = filter;
    this.#offset = 0;
    void this.load();
  }

  /** Sorts by a column; the same column again reverses the order. Numbers start with the largest. */
  sortBy(column: FdColumn): void {
    const startsDescending = !["fd", "type", "state", "details"].includes(column);
    this.isDescending = column === this.column ? !this.isDescending : startsDescending;
    this.column = column;
    this.#offset = 0;
    void this.load();
  }

  /** Loads the rows around those that have become visible, unless they are loaded. */
  show(first: number, last: number): void {
    const { offset, rows, matching } = this.page;
    const isLoaded = first >= offset && Math.min(last, matching) <= offset + rows.length;
    this.#offset = Math.max(0, first - MARGIN);
    if (!isLoaded) void this.load();
  }

  /** Updates the rows, unless that was done a moment ago. */
  refresh(): void {
    if (!this.#isLoading && performance.now() >= this.#nextRefreshMs) void this.load();
  }

  async load(): Promise<void> {
    this.#isStale = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    const startMs = performance.now();
    while (this.#isStale) {
      this.#isStale = false;
      const { filter, column, isDescending } = this;
      const result = await this.#load({ filter, column, isDescending, offset: this.#offset, limit: WINDOW });
      if (this.#isStale) continue;
      this.error = typeof result === "string" ? result : undefined;
      if (typeof result === "object") this.page = result;
    }
    this.#isLoading = false;
    const now = performance.now();
    this.#nextRefreshMs = now + Math.max(REFRESH_INTERVAL_MS, (now - startMs) * LOAD_RATIO);
    this.#onChange();
  }
}
