/** @jsxImportSource preact */
// The descriptors: what we watch each for and what the kernel does, its state, its queues; to sort, and to look into.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { KernelEntry, Warning } from "../../debugger/sampler.ts";
import type { FdEntry } from "../../debugger/fd-table.ts";
import type { Store } from "./store.ts";
import type { View } from "./event-history.ts";
import { addressOf, duration, isSameMask, maskText, size } from "./format.ts";

interface Row extends FdEntry {
  kernel: KernelEntry | undefined;
  ageUs: number;
  warning: Warning | undefined;
}

const COLUMNS: readonly [name: string, title: string, value: (row: Row) => number | string][] = [
  ["fd", "descriptor", ({ fd }) => fd],
  ["what", "what it is", ({ kind }) => kind],
  ["state", "what the connection waits for", ({ state }) => state ?? ""],
  ["ours", "what we believe that it is watched for", ({ mask }) => mask ?? -1],
  ["kernel", "what the kernel watches it for", ({ kernel }) => kernel?.mask ?? -1],
  ["unread", "bytes in the kernel's queue, to be read", ({ kernel }) => kernel?.receiveQueueBytes ?? -1],
  ["unsent", "bytes in the kernel's queue, that the peer has not taken", ({ kernel }) => kernel?.sendQueueBytes ?? -1],
  ["in", "bytes received", ({ bytesIn }) => bytesIn],
  ["out", "bytes sent", ({ bytesOut }) => bytesOut],
  ["age", "since it was opened", ({ ageUs }) => ageUs],
  ["note", "address and warnings", (row) => addressOf(row)],
];
const MOST_ROWS = 100;

export function FdTable({ store, view }: { store: Store; view: View }): JSX.Element {
  const [[by, isDown], sort] = useState<[number, boolean]>([0, false]);
  const value = COLUMNS[by]?.[2] ?? (() => 0);
  const rows = rowsOf(store, view).sort((a, b) => compare(value(a), value(b)) * (isDown ? -1 : 1) || a.fd - b.fd);
  const shown = rows.slice(0, MOST_ROWS);
  const open = store.isLive ? store.tape.open : rows.length;
  return (
    <section class="fds" aria-label="Descriptors">
      <h2>
        Descriptors ({open}){view.isApproximate ? <small> as they were a moment later</small> : null}
      </h2>
      <div class="scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {COLUMNS.map(([name, title], i) => (
                <th key={name} aria-sort={i === by ? (isDown ? "descending" : "ascending") : "none"} scope="col">
                  <button type="button" title={title} onClick={() => sort([i, i === by && !isDown])}>
                    {name}
                    {i === by ? (isDown ? " ▾" : " ▴") : ""}
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
      {open > shown.length ? <p class="aside">{open - shown.length} more are open.</p> : null}
      <Look store={store} />
      <Differences store={store} />
    </section>
  );
}

function FdRow({ store, view, row }: { store: Store; view: View; row: Row }): JSX.Element {
  const isReady = view.ready.some(([fd]) => fd === row.fd);
  const { isNumeric } = store;
  return (
    <tr class={`${isReady ? "is-ready" : ""} ${store.fd === row.fd ? "is-chosen" : ""}`}>
      <th scope="row">
        <button type="button" title="why?" onClick={() => void store.lookAt(store.fd === row.fd ? undefined : row.fd)}>
          {row.fd}
        </button>
      </th>
      <td>{row.kind}</td>
      <td>{row.state ?? ""}</td>
      <td class="mask">{maskText(row.mask, isNumeric)}</td>
      <td class="mask">
        {row.kernel === undefined ? "" : maskText(row.kernel.mask, isNumeric)}
        {row.kernel === undefined || isSameMask(row.mask, row.kernel.mask) ? null : <b title="not the same"> ≠</b>}
      </td>
      <td class="number">{row.kernel?.receiveQueueBytes ?? ""}</td>
      <td class="number">{row.kernel?.sendQueueBytes ?? ""}</td>
      <td class="number">{size(row.bytesIn)}</td>
      <td class="number">{size(row.bytesOut)}</td>
      <td class="number">{duration(row.ageUs)}</td>
      <td>
        {row.warning === undefined ? null : <b title={row.warning.message}>⚠ {row.warning.code} </b>}
        {addressOf(row)}
      </td>
    </tr>
  );
}

function Look({ store }: { store: Store }): JSX.Element | null {
  const { fd, look } = store;
  if (fd === undefined || store.hello?.source !== "live") return null;
  return (
    <div class="look" role="status">
      <h3>Why {fd}?</h3>
      {look === undefined ? (
        <p>It is open no more, or not yet asked.</p>
      ) : (
        <>
          <p>{look.why}</p>
          <dl class="facts">
            {look.facts.map(([name, value]) => (
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

function Differences({ store }: { store: Store }): JSX.Element | null {
  if (store.hello?.source !== "live") return null;
  const { differences } = store;
  return (
    <div class="differences">
      <button type="button" disabled={!store.isStopped} onClick={() => void store.compare()}>
        Compare our list with the kernel's
      </button>{" "}
      {store.isStopped ? null : <small>once it stands still</small>}
      {differences === undefined ? null : differences.messages.length === 0 ? (
        <p role="status">No difference: {differences.watched} are watched, and the kernel says so, too.</p>
      ) : (
        <ul role="status">
          {differences.messages.map((message) => (
            <li key={message}>{message}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function rowsOf(store: Store, view: View): Row[] {
  const kernel = new Map(store.isLive ? store.tape.kernel.map((one) => [one.fd, one]) : []);
  const us = view.event?.us ?? 0;
  return view.entries.map((entry) => ({
    ...entry,
    kernel: entry.kind === "epoll" ? undefined : kernel.get(entry.fd),
    ageUs: Math.max(0, us - entry.sinceUs),
    warning: store.warnings.findLast(({ fd, us }) => fd === entry.fd && us >= entry.sinceUs),
  }));
}

function compare(a: number | string, b: number | string): number {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
