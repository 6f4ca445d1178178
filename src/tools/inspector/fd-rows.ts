// The rows of the table of file descriptors, from the records of a live loop.

import type { FdKey } from "../../trace/fd-key.ts";
import { formatPeer } from "../../trace/format.ts";
import type { FdRecord } from "../debugger/fd-ledger.ts";
import { keyOfEntry } from "../debugger/fd-table.ts";
import type { Warning } from "../debugger/sampler.ts";
import { parseFdFilter } from "./fd-filter.ts";
import { type FdPage, type FdQuery, queryRows } from "./fd-query.ts";
import { type FdRow, needsKernel } from "./fd-row.ts";
import type { KernelFigures } from "./kernel-figures.ts";

export interface FdRowsContext {
  /** The current time of the trace. */
  nowUs: number;
  /** The last warning about each fd. */
  warnings: ReadonlyMap<FdKey, Warning>;
}

/** Returns the rows of all fds, without the kernel's figures. */
export function buildRows(records: Iterable<FdRecord>, context: FdRowsContext): FdRow[] {
  const rows: FdRow[] = [];
  for (const record of records) {
    const { registrations } = record.entry;
    if (registrations.length === 0) rows.push(buildRow(record, context));
    for (const { epfd, mask } of registrations) rows.push({ ...buildRow(record, context), epfd, mask });
  }
  return rows;
}

function buildRow(record: FdRecord, { nowUs, warnings }: FdRowsContext): FdRow {
  const { entry, stateUs, lastUs, lastError, line } = record;
  const warning = warnings.get(keyOfEntry(entry));
  const isCurrent = warning !== undefined && warning.us >= entry.sinceUs;
  return {
    fd: entry.fd,
    ...(entry.pid === undefined ? {} : { pid: entry.pid }),
    openedUs: entry.sinceUs,
    kind: entry.kind,
    state: entry.state,
    bytesIn: entry.bytesIn,
    bytesOut: entry.bytesOut,
    ageUs: Math.max(0, nowUs - entry.sinceUs),
    stateUs: Math.max(0, nowUs - stateUs),
    idleUs: Math.max(0, nowUs - lastUs),
    lastError,
    line,
    address: entry.address === undefined ? "" : formatPeer(entry.address),
    warning: isCurrent ? { code: warning.code, message: warning.message } : undefined,
  };
}

/**
 * Runs a query over all fds of a live loop. The kernel is asked about all of them only if the filter or the order needs it, and otherwise
 * about those in the answer.
 *
 * @param kernel undefined if the loop has ended: its fd numbers may belong to others by now
 * @throws {Error} if the filter is invalid
 */
export function queryFds(
  records: Iterable<FdRecord>,
  context: FdRowsContext,
  query: FdQuery,
  kernel: KernelFigures | undefined,
): FdPage {
  const rows = buildRows(records, context);
  const asksAll = needsKernel(query.column) || parseFdFilter(query.filter).needsKernel;
  if (asksAll) for (const row of rows) kernel?.complete(row);
  const page = queryRows(rows, query);
  if (!asksAll) for (const row of page.rows) kernel?.complete(row);
  return page;
}
