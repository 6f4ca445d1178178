/** @jsxImportSource preact */
// The table of open file descriptors: masks, queues, bytes and state, with details of one and a comparison with the kernel.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { compareMasks } from "../../../trace/compare-masks.ts";
import type { FdEntry } from "../../debugger/fd-table.ts";
import type { KernelEntry, Warning } from "../../debugger/sampler.ts";
import type { View } from "./event-history.ts";
import { formatAddress, formatBytes, formatDuration, formatShortMask } from "./format.ts";
import type { Store } from "./store.ts";

interface Row extends FdEntry {
  kernel: KernelEntry | undefined;
  ageUs: number;
  warning: Warning | undefined;
}

interface Column {
  label: string;
  title: string;
  /** The value by which the column sorts. */
  value(row: Row): number | string;
}

const COLUMNS: readonly Column[] = [
  { label: "fd", title: "File descriptor", value: ({ fd }) => fd },
  { label: "Type", title: "Type of file descriptor", value: ({ kind }) => kind },
  { label: "State", title: "State of the connection", value: ({ state }) => state ?? "" },
  { label: "Registered", title: "Mask passed to epoll_ctl", value: ({ mask }) => mask ?? -1 },
  { label: "Kernel mask", title: "Mask in the kernel's interest list", value: ({ kernel }) => kernel?.mask ?? -1 },
  {
    label: "Recv-Q",
    title: "Bytes in the receive queue, not yet read",
    value: ({ kernel }) => kernel?.receiveQueueBytes ?? -1,
  },
  {
    label: "Send-Q",
    title: "Bytes in the send queue, not yet acknowledged",
    value: ({ kernel }) => kernel?.sendQueueBytes ?? -1,
  },
  { label: "Received", title: "Bytes received in total", value: ({ bytesIn }) => bytesIn },
  { label: "Sent", title: "Bytes sent in total", value: ({ bytesOut }) => bytesOut },
  { label: "Age", title: "Time since the file descriptor was opened", value: ({ ageUs }) => ageUs },
  { label: "Details", title: "Warning and address", value: (row) => formatAddress(row) },
];
const MAX_ROWS = 100;

export function FdTable({ store, view }: { store: Store; view: View }): JSX.Element {
  const [{ column, isDescending }, setOrder] = useState({ column: 0, isDescending: false });
  const value = COLUMNS[column]?.value ?? (() => 0);
  const rows = rowsOf(store, view).sort(
    (a, b) => compareValues(value(a), value(b)) * (isDescending ? -1 : 1) || a.fd - b.fd,
  );
  const shown = rows.slice(0, MAX_ROWS);
  const open = store.isFollowing ? store.history.open : rows.length;
  return (
    <section class="fd-table" aria-label="File descriptors">
      <h2>
        File descriptors ({open})
        {view.isApproximate ? <small> as of a later event: some events were skipped</small> : null}
      </h2>
      <div class="scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {COLUMNS.map(({ label, title }, i) => (
                <th
                  key={label}
                  aria-sort={i === column ? (isDescending ? "descending" : "ascending") : "none"}
                  scope="col"
                >
                  <button
                    type="button"
                    title={title}
                    onClick={() => setOrder({ column: i, isDescending: i === column && !isDescending })}
                  >
                    {label}
                    {i === column ? (isDescending ? " ▾" : " ▴") : ""}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <FdRow key={row.fd} store={store} view={view} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {open > shown.length ? <p class="aside">{open - shown.length} more not shown.</p> : null}
      <FdDetails store={store} />
      <InterestDiff store={store} />
    </section>
  );
}

function FdRow({ store, view, row }: { store: Store; view: View; row: Row }): JSX.Element {
  const isReady = view.ready.some(([fd]) => fd === row.fd);
  const isSelected = store.selectedFd === row.fd;
  const { isNumeric } = store;
  return (
    <tr class={`${isReady ? "is-ready" : ""} ${isSelected ? "is-selected" : ""}`}>
      <th scope="row">
        <button
          type="button"
          title={`Details of fd ${row.fd}`}
          onClick={() => void store.selectFd(isSelected ? undefined : row.fd)}
        >
          {row.fd}
        </button>
      </th>
      <td>{row.kind}</td>
      <td>{row.state ?? ""}</td>
      <td class="mask">{formatShortMask(row.mask, isNumeric)}</td>
      <td class="mask">
        <KernelMask row={row} isNumeric={isNumeric} />
      </td>
      <td class="number">{row.kernel?.receiveQueueBytes ?? ""}</td>
      <td class="number">{row.kernel?.sendQueueBytes ?? ""}</td>
      <td class="number">{formatBytes(row.bytesIn)}</td>
      <td class="number">{formatBytes(row.bytesOut)}</td>
      <td class="number">{formatDuration(row.ageUs)}</td>
      <td>
        {row.warning === undefined ? null : <b title={row.warning.message}>⚠ {row.warning.code} </b>}
        {formatAddress(row)}
      </td>
    </tr>
  );
}

function KernelMask({ row: { mask, kernel }, isNumeric }: { row: Row; isNumeric: boolean }): JSX.Element | null {
  if (kernel === undefined) return null;
  const comparison = compareMasks(mask, kernel.mask);
  return (
    <>
      {formatShortMask(kernel.mask, isNumeric)}
      {comparison === "different" ? <b title="The registered mask and the kernel mask differ"> ≠</b> : null}
      {comparison === "disarmed" ? <b title="EPOLLONESHOT disarmed this registration"> disarmed</b> : null}
    </>
  );
}

function FdDetails({ store: { selectedFd, fdInfo, isLive } }: { store: Store }): JSX.Element | null {
  if (selectedFd === undefined || !isLive) return null;
  return (
    <div class="fd-details" role="status">
      <h3>fd {selectedFd}</h3>
      {fdInfo === undefined ? (
        <p>No details: the file descriptor is closed, or they are still loading.</p>
      ) : (
        <>
          <p>{fdInfo.why}</p>
          <dl class="facts">
            {fdInfo.facts.map(([name, value]) => (
              <>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </>
            ))}
          </dl>
        </>
      )}
    </div>
  );
}

function InterestDiff({ store }: { store: Store }): JSX.Element | null {
  if (!store.isLive) return null;
  const { interestDiff: diff } = store;
  return (
    <div class="interest-diff">
      <button type="button" disabled={!store.isPaused} onClick={() => void store.compareInterest()}>
        Compare with the kernel
      </button>{" "}
      {store.isPaused ? null : <small>only while the loop is paused</small>}
      {diff === undefined ? null : diff.messages.length === 0 ? (
        <p role="status">No differences: all {diff.registered} registered masks match the kernel's.</p>
      ) : (
        <ul role="status">
          {diff.messages.map((message) => (
            <li key={message}>{message}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function rowsOf(store: Store, view: View): Row[] {
  // The kernel's values are only known for the present.
  const kernel = new Map(store.isFollowing ? store.history.kernel.map((entry) => [entry.fd, entry]) : []);
  const nowUs = view.event?.us ?? 0;
  return view.entries.map((entry) => ({
    ...entry,
    kernel: entry.kind === "epoll" ? undefined : kernel.get(entry.fd),
    ageUs: Math.max(0, nowUs - entry.sinceUs),
    warning: store.warnings.findLast(({ fd, us }) => fd === entry.fd && us >= entry.sinceUs),
  }));
}

function compareValues(a: number | string, b: number | string): number {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
