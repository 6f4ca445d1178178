/** @jsxImportSource preact */
// The table of open file descriptors, which loads only the rows that are visible, with details of one and a comparison with the kernel.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { compareMasks } from "../../../trace/compare-masks.ts";
import { fdKey } from "../../../trace/fd-key.ts";
import { type FdColumn, type FdRow, rowKey } from "../fd-row.ts";
import type { View } from "./event-history.ts";
import { formatBytes, formatCount, formatDuration, formatFd, formatShortMask } from "./format.ts";
import type { Store } from "./store.ts";

interface Column {
  column: FdColumn;
  label: string;
  title: string;
}

const COLUMNS: readonly Column[] = [
  { column: "fd", label: "fd", title: "File descriptor" },
  { column: "type", label: "Type", title: "Type of file descriptor" },
  { column: "state", label: "State", title: "State of the connection" },
  { column: "instate", label: "In state", title: "Time since the connection entered its state" },
  { column: "registered", label: "Registered", title: "Mask passed to epoll_ctl" },
  { column: "kernel", label: "Kernel mask", title: "Mask in the kernel's interest list" },
  {
    column: "recvq",
    label: "Recv-Q",
    title: "Bytes in the receive queue, not yet read. Of a listener: connections that wait to be accepted",
  },
  {
    column: "sendq",
    label: "Send-Q",
    title: "Bytes in the send queue, not yet acknowledged. Of a listener: the limit of its queue (backlog)",
  },
  { column: "received", label: "Received", title: "Bytes received in total" },
  { column: "sent", label: "Sent", title: "Bytes sent in total" },
  { column: "idle", label: "Idle", title: "Time since the last call on the file descriptor" },
  { column: "age", label: "Age", title: "Time since the file descriptor was opened" },
  { column: "details", label: "Details", title: "Warning, address, last error and last start line" },
];
const EPOLL_COLUMN: Column = { column: "epoll", label: "Epoll", title: "Epoll instance of the registration" };

/** As in fd-table.css: rows that are not loaded take up space, too. */
const ROW_HEIGHT = 42;

/** Filters at one click. */
const PRESETS: readonly { filter: string; label: string; title: string }[] = [
  {
    filter: "is:stuck",
    label: "Stuck",
    title: "Nothing has happened for a second, although data waits in a queue or a request is not answered",
  },
  { filter: "is:failed", label: "Failed", title: "A call on the file descriptor has failed" },
  { filter: "is:warned", label: "Warned", title: "There is a warning about the file descriptor" },
];

const FILTER_HELP =
  "Words or terms, all of which must match: 33, 127.0.0.1:5000, fd:33, peer:…, type:listener, state:head, errno:ECONNRESET, text:/path, " +
  "received>0, recvq>1k, idle>5s, is:stuck; -term excludes";

export function FdTable({ store, view }: { store: Store; view: View }): JSX.Element {
  const { fds, isFollowing } = store;
  const { page } = fds;
  return (
    <section class="fd-table" aria-label="File descriptors">
      <h2>
        File descriptors ({formatCount(isFollowing ? page.total : view.open)})
        {view.isApproximate ? <small> as of a later event: some events were skipped</small> : null}
        {!isFollowing && page.total < view.open ? (
          <small> {formatCount(page.total)} are kept for this event</small>
        ) : null}
      </h2>
      <Filter store={store} />
      <Rows store={store} view={view} />
      <FdDetails store={store} />
      <InterestDiff store={store} />
    </section>
  );
}

function Filter({ store: { fds } }: { store: Store }): JSX.Element {
  const { filter, error, page } = fds;
  return (
    <div class="fd-filter" role="search">
      <input
        type="search"
        aria-label="Filter file descriptors"
        placeholder="Filter: 33, state:head, received>0, is:stuck"
        title={FILTER_HELP}
        value={filter}
        onInput={(e) => fds.setFilter(e.currentTarget.value)}
      />{" "}
      {PRESETS.map((preset) => (
        <button
          key={preset.filter}
          type="button"
          title={preset.title}
          aria-pressed={filter === preset.filter}
          onClick={() => fds.setFilter(filter === preset.filter ? "" : preset.filter)}
        >
          {preset.label}
        </button>
      ))}{" "}
      <output>
        {error !== undefined
          ? error
          : filter === ""
            ? ""
            : `${formatCount(page.matching)} of ${formatCount(page.total)}`}
      </output>
    </div>
  );
}

function Rows({ store, view }: { store: Store; view: View }): JSX.Element {
  const { fds, kernel } = store;
  const { page, column, isDescending } = fds;
  const scroll = useRef<HTMLDivElement>(null);
  const columns = (kernel?.instances.length ?? 0) > 1 ? COLUMNS.toSpliced(4, 0, EPOLL_COLUMN) : COLUMNS;
  useEffect(() => scroll.current?.scrollTo({ top: 0 }), [fds.filter, column, isDescending]);
  const onScroll = (): void => {
    const { scrollTop = 0, clientHeight = 0 } = scroll.current ?? {};
    fds.show(Math.floor(scrollTop / ROW_HEIGHT), Math.ceil((scrollTop + clientHeight) / ROW_HEIGHT));
  };
  const below = page.matching - page.offset - page.rows.length;
  const ready = new Set(view.ready.map(([fd]) => fdKey(fd, view.pid)));
  return (
    <div class="scroll" tabIndex={0} ref={scroll} onScroll={onScroll}>
      <table aria-rowcount={page.matching + 1}>
        <thead>
          <tr>
            {columns.map(({ column: name, label, title }) => (
              <th
                key={name}
                aria-sort={name === column ? (isDescending ? "descending" : "ascending") : "none"}
                scope="col"
              >
                <button type="button" title={title} data-column={name} onClick={() => fds.sortBy(name)}>
                  {label}
                  {name === column ? (isDescending ? " ▾" : " ▴") : ""}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <Spacer key="above" rows={page.offset} />
          {page.rows.map((row, i) => (
            <Row
              key={rowKey(row)}
              store={store}
              row={row}
              index={page.offset + i + 2}
              hasInstance={columns !== COLUMNS}
              isReady={ready.has(fdKey(row.fd, row.pid))}
            />
          ))}
          <Spacer key="below" rows={below} />
        </tbody>
      </table>
    </div>
  );
}

/** The space of rows that are not loaded. */
function Spacer({ rows }: { rows: number }): JSX.Element | null {
  return rows <= 0 ? null : <tr class="spacer" aria-hidden="true" style={{ height: `${rows * ROW_HEIGHT}px` }} />;
}

interface RowProps {
  store: Store;
  row: FdRow;
  /** Its number in the table, as assistive technology counts: the head is row 1. */
  index: number;
  hasInstance: boolean;
  /** The last epoll_wait has reported the fd. */
  isReady: boolean;
}

function Row({ store, row, index, hasInstance, isReady }: RowProps): JSX.Element {
  const isSelected = store.selectedFd === fdKey(row.fd, row.pid);
  const { isNumeric, history } = store;
  const label = formatFd(fdKey(row.fd, row.pid), history.hasSeveralProcesses);
  return (
    <tr class={`${isReady ? "is-ready" : ""} ${isSelected ? "is-selected" : ""}`} aria-rowindex={index}>
      <th scope="row">
        <button
          type="button"
          title={`Details of fd ${label}`}
          aria-expanded={isSelected}
          onClick={() => void store.selectFd(isSelected ? undefined : fdKey(row.fd, row.pid))}
        >
          {label}
        </button>
      </th>
      <td>{row.kind}</td>
      <td>{row.state ?? ""}</td>
      <td class="number">{row.state === undefined ? "" : formatDuration(row.stateUs)}</td>
      {hasInstance ? <td class="number">{row.epfd ?? ""}</td> : null}
      <td class="mask">{formatShortMask(row.mask, isNumeric)}</td>
      <td class="mask">
        <KernelMask row={row} isNumeric={isNumeric} isComparable={store.isPaused} />
      </td>
      <td class="number">{row.receiveQueue ?? ""}</td>
      <td class="number">{row.sendQueue ?? ""}</td>
      <td class="number">{formatBytes(row.bytesIn)}</td>
      <td class="number">{formatBytes(row.bytesOut)}</td>
      <td class="number">{formatDuration(row.idleUs)}</td>
      <td class="number">{formatDuration(row.ageUs)}</td>
      <td class="details" title={[row.warning?.message, formatDetails(row)].filter(Boolean).join("; ")}>
        <span>
          {row.warning === undefined ? null : <b>⚠ {row.warning.code} </b>}
          {formatDetails(row)}
        </span>
      </td>
    </tr>
  );
}

function formatDetails({ kind, address, lastError, line }: FdRow): string {
  const where = address === "" ? "" : `${kind === "listener" ? "listening on" : "peer"} ${address}`;
  return [where, lastError, line].filter((part) => part !== undefined && part !== "").join(", ");
}

interface KernelMaskProps {
  row: FdRow;
  isNumeric: boolean;
  /** The loop is paused. While it runs, the kernel mask is newer than the registered mask, and may differ although nothing is wrong. */
  isComparable: boolean;
}

function KernelMask({ row: { mask, kernelMask }, isNumeric, isComparable }: KernelMaskProps): JSX.Element | null {
  if (kernelMask === undefined) return null;
  const inKernel = kernelMask ?? undefined;
  const comparison = isComparable ? compareMasks(mask, inKernel) : "same";
  return (
    <>
      {formatShortMask(inKernel, isNumeric)}
      {comparison === "different" ? <b title="The registered mask and the kernel mask differ"> ≠</b> : null}
      {comparison === "disarmed" ? <b title="EPOLLONESHOT disarmed this registration"> disarmed</b> : null}
    </>
  );
}

function FdDetails({ store }: { store: Store }): JSX.Element | null {
  const { selectedFd, selectedRow, fdInfo, isLive, isFollowing } = store;
  if (selectedFd === undefined) return null;
  const label = formatFd(selectedFd, store.history.hasSeveralProcesses);
  return (
    <div class="fd-details" role="region" aria-label={`Details of fd ${label}`}>
      <h3>fd {label}</h3>
      {selectedRow === undefined ? null : (
        <button type="button" onClick={() => store.follow(selectedRow)}>
          {selectedRow.kind === "connection" ? "Follow this connection" : `Follow fd ${selectedFd}`}
        </button>
      )}
      {!isLive || !isFollowing ? null : fdInfo === undefined ? (
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
