// Queries of the table of file descriptors: filter, order and window over all rows. The server runs them, or the page for a saved trace.

import { type FdColumn, FD_COLUMNS, type FdRow } from "./fd-row.ts";
import { parseFdFilter } from "./fd-filter.ts";

/** The most rows in one answer. */
export const MAX_ROWS = 200;

export interface FdQuery {
  filter: string;
  column: FdColumn;
  isDescending: boolean;
  /** The index of the first row wanted. */
  offset: number;
  /** The number of rows wanted, at most MAX_ROWS. */
  limit: number;
}

/** A window of the matching rows. */
export interface FdPage {
  rows: FdRow[];
  offset: number;
  /** The number of rows that match the filter. */
  matching: number;
  /** The number of all rows. */
  total: number;
}

/**
 * Runs a query.
 *
 * @throws {Error} if the filter is invalid
 */
export function queryRows(all: readonly FdRow[], { filter, column, isDescending, offset, limit }: FdQuery): FdPage {
  const { matches } = parseFdFilter(filter);
  const value = FD_COLUMNS[column];
  const rows = all.filter(matches).sort((a, b) => {
    const order = compareValues(value(a), value(b)) * (isDescending ? -1 : 1);
    if (order !== 0) return order;
    return (a.pid ?? -1) - (b.pid ?? -1) || a.fd - b.fd || (a.epfd ?? -1) - (b.epfd ?? -1);
  });
  const first = Math.max(0, Math.min(offset, rows.length - limit));
  const last = first + Math.min(limit, MAX_ROWS);
  return { rows: rows.slice(first, last), offset: first, matching: rows.length, total: all.length };
}

/** In ascending order, text that is missing comes last. */
function compareValues(a: number | string, b: number | string): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
  return a < b ? -1 : a > b ? 1 : 0;
}
