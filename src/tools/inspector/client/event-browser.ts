// What the page shows of the event history: the filter, the rows, the extent of the timeline, and the selected range.

import { clampExtent, type Extent, extentWith, zoomExtent } from "./axis-extent.ts";
import { parseFilter } from "./event-filter.ts";
import { EventHistory } from "./event-history.ts";
import { EventRows } from "./event-rows.ts";
import { type RangeTotals, totalsOf } from "./range-totals.ts";

/** The timeline's axis: rows of the unfiltered list, or microseconds since the trace began. */
export type AxisUnit = "order" | "time";

/** Positions in the history. Both ends are included. */
export interface PositionRange {
  from: number;
  to: number;
}

/** The distance between two marks that do not overlap, in pixels; more for a finger. */
const MARK_SPACING = 16;
const COARSE_MARK_SPACING = 25;

const MIN_SPAN: Record<AxisUnit, number> = { order: 6, time: 20 };
const DEFAULT_TIME_SPAN_US = 5_000_000;
/** The assumed width before the timeline is laid out. */
const DEFAULT_WIDTH = 700;

export class EventBrowser {
  query: string = "";
  /** What is wrong with the query. */
  filterError: string | undefined;
  /** All events that have a line. */
  rows: EventRows = new EventRows(new EventHistory(), () => true);
  /** The rows that match the filter; `rows` if there is none. */
  matches: EventRows = this.rows;
  /** The position of the selected event, or of the last one before it that has a line. */
  selected: number = -1;
  range: PositionRange | undefined;
  unit: AxisUnit = "order";
  /** The distance between two marks that do not overlap, in pixels. */
  readonly spacing: number;
  /** The extent stays where the user moved it; otherwise it follows the selected event. */
  isPinned: boolean = false;

  readonly #onChange: () => void;
  #width = DEFAULT_WIDTH;
  /** The length of the extent, in the unit of the axis; undefined: as many marks as fit, or five seconds. */
  #span: number | undefined;
  #to = 0;
  #position = -1;
  #rangeAnchor = 0;
  #totals: { key: string; totals: RangeTotals } | undefined;

  /**
   * @param onChange called when something has changed and must be rendered
   * @param hasFinger the pointer is a finger, which needs larger targets
   */
  constructor(onChange: () => void, hasFinger: boolean = false) {
    this.#onChange = onChange;
    this.spacing = hasFinger ? COARSE_MARK_SPACING : MARK_SPACING;
  }

  get history(): EventHistory {
    return this.rows.history;
  }

  /** To be called before each rendering. `position` is that of the selected event. */
  update(history: EventHistory, position: number, isFollowing: boolean): void {
    if (history !== this.history) this.#reset(history);
    this.rows.update();
    if (this.matches !== this.rows) this.matches.update();
    this.selected = Math.min(position, this.rows.at(this.rows.indexAt(position))?.last ?? position);
    if (this.range !== undefined && this.range.to < history.start) this.range = undefined;
    const { bounds, span } = this;
    if (this.isPinned) {
      if (position !== this.#position && !isFollowing)
        this.#to = extentWith(this.#extent(span), this.#valueAt(position)).to;
    } else if (isFollowing) {
      this.#to = bounds.to;
    } else if (position !== this.#position) {
      this.#to = extentWith(this.#extent(span), this.#valueAt(position)).to;
    }
    this.#position = position;
  }

  // ---- the filter ----

  setQuery(query: string): void {
    this.query = query;
    const { history } = this;
    const isEmpty = query.trim() === "";
    const filter = parseFilter(query, isEmpty ? [] : history.entriesBefore);
    this.filterError = filter.error;
    this.matches = isEmpty ? this.rows : new EventRows(history, (event) => filter.matches(event));
    this.matches.update();
    this.#onChange();
  }

  get isFiltering(): boolean {
    return this.matches !== this.rows;
  }

  /** Returns the position of the next (1) or previous (-1) row that matches the filter. */
  matchFrom(position: number, direction: 1 | -1): number | undefined {
    const { matches } = this;
    const index = matches.indexAt(position);
    const row = matches.at(index);
    const isBetween = row === undefined || position > row.last; // the position itself is no match
    const next = direction === 1 ? index + 1 : isBetween || position === -1 ? index : index - 1;
    return matches.at(next)?.first;
  }

  /** Returns whether an event is among the matches. */
  isMatch(position: number): boolean {
    const row = this.matches.at(this.matches.indexAt(position));
    return row !== undefined && position <= row.last;
  }

  // ---- the timeline's extent ----

  /** The extent of all events. */
  get bounds(): Extent {
    if (this.unit === "order") return { from: this.rows.start - 0.5, to: this.rows.end - 0.5 };
    const { history } = this;
    return { from: history.event(history.start)?.us ?? 0, to: history.event(history.end - 1)?.us ?? 0 };
  }

  get span(): number {
    return this.#span ?? (this.unit === "order" ? this.#width / this.spacing : DEFAULT_TIME_SPAN_US);
  }

  get extent(): Extent {
    return this.#extent(this.span);
  }

  /** The last event is in the extent. */
  get showsLatest(): boolean {
    return this.extent.to >= this.bounds.to;
  }

  setWidth(width: number): void {
    if (width === this.#width) return;
    this.#width = width;
    this.#onChange();
  }

  setUnit(unit: AxisUnit): void {
    this.unit = unit;
    this.#span = undefined;
    this.isPinned = false;
    this.#to = this.#valueAt(this.#position);
    this.#position = -1;
    this.#onChange();
  }

  /** @param at the value that keeps its place; default: the latest event if the extent follows it, or the selected one */
  zoom(factor: number, at?: number): void {
    const { extent, bounds } = this;
    const selected = this.#valueAt(this.#position);
    const follows = !this.isPinned && this.showsLatest;
    const isVisible = selected >= extent.from && selected <= extent.to;
    const anchor = at ?? (follows ? extent.to : isVisible ? selected : (extent.from + extent.to) / 2);
    const zoomed = clampExtent(zoomExtent(extent, factor, anchor, MIN_SPAN[this.unit]), bounds);
    this.#show(zoomed, !follows || at !== undefined);
  }

  /** @param by a number of values of the axis */
  pan(by: number): void {
    const { from, to } = this.extent;
    this.#show(clampExtent({ from: from + by, to: to + by }, this.bounds), true);
  }

  /** Moves by a part of the extent. */
  panBy(fraction: number): void {
    this.pan(fraction * this.span);
  }

  showExtent(from: number, to: number): void {
    const least = MIN_SPAN[this.unit];
    const missing = Math.max(0, least - (to - from)) / 2;
    this.#show(clampExtent({ from: from - missing, to: to + missing }, this.bounds), true);
  }

  showAll(): void {
    this.#span = Number.MAX_SAFE_INTEGER;
    this.isPinned = false;
    this.#to = this.bounds.to;
    this.#onChange();
  }

  /** Returns to the default extent, which follows the selected event. */
  resetExtent(): void {
    this.#span = undefined;
    this.isPinned = false;
    this.#position = -1;
    this.#onChange();
  }

  // ---- the selected range ----

  selectRange(a: number, b: number): void {
    const { start, end } = this.history;
    const clamp = (position: number): number => Math.max(start, Math.min(position, end - 1));
    this.#rangeAnchor = clamp(a);
    this.range = { from: clamp(Math.min(a, b)), to: clamp(Math.max(a, b)) };
    this.#onChange();
  }

  /** Begins a range at the selected event. */
  beginRange(): void {
    this.selectRange(this.selected, this.selected);
  }

  /** Extends the range from where it was begun. */
  extendRange(position: number): void {
    this.selectRange(this.#rangeAnchor, position);
  }

  clearRange(): void {
    this.range = undefined;
    this.#onChange();
  }

  /** The range on the axis. */
  get rangeExtent(): Extent | undefined {
    const { range, rows, unit } = this;
    if (range === undefined) return undefined;
    if (unit === "order") return { from: rows.indexAt(range.from) - 0.5, to: rows.indexAt(range.to) + 0.5 };
    return { from: this.#valueAt(range.from), to: this.#valueAt(range.to) };
  }

  get rangeTotals(): RangeTotals | undefined {
    const { range, history } = this;
    if (range === undefined) return undefined;
    const key = `${Math.max(range.from, history.start)}-${range.to}`;
    if (this.#totals?.key !== key) this.#totals = { key, totals: totalsOf(history, range.from, range.to) };
    return this.#totals.totals;
  }

  /** Returns the position of the event at or after a value of the axis. */
  positionAt(value: number, isEnd: boolean = false): number {
    const { history, rows } = this;
    if (this.unit === "time") return Math.max(history.start, history.positionAt(value) - (isEnd ? 1 : 0));
    const row = rows.at(Math.max(rows.start, Math.min(rows.end - 1, Math.round(value))));
    return (isEnd ? row?.last : row?.first) ?? history.start;
  }

  #valueAt(position: number): number {
    return this.unit === "order" ? this.rows.indexAt(position) : (this.history.event(position)?.us ?? 0);
  }

  #extent(span: number): Extent {
    const { bounds } = this;
    const length = this.#span === Number.MAX_SAFE_INTEGER ? bounds.to - bounds.from : span;
    const from = Math.max(bounds.from, Math.min(this.#to, bounds.to) - length);
    return { from, to: Math.max(from + length, from + MIN_SPAN[this.unit]) };
  }

  #show({ from, to }: Extent, isPinned: boolean): void {
    this.#span = to - from;
    this.#to = to;
    this.isPinned = isPinned;
    this.#onChange();
  }

  #reset(history: EventHistory): void {
    this.rows = new EventRows(history, () => true);
    this.matches = this.rows;
    this.range = undefined;
    this.isPinned = false;
    this.#span = undefined;
    this.#position = -1;
    this.#to = 0;
    if (this.query !== "") {
      const filter = parseFilter(this.query, history.entriesBefore);
      this.matches = new EventRows(history, (event) => filter.matches(event));
    }
  }
}
