/** @jsxImportSource preact */
// Totals of the range that is selected in the timeline.

import type { JSX } from "preact";
import { pidOfKey } from "../../../trace/fd-key.ts";
import type { EventBrowser } from "./event-browser.ts";
import { formatBytes, formatCount, formatDuration, formatFd, formatPercent } from "./format.ts";
import type { RangeTotals } from "./range-totals.ts";

const MAX_FDS = 8;

export function RangePanel({ browser }: { browser: EventBrowser }): JSX.Element {
  const { range, rangeExtent, rangeTotals } = browser;
  if (range === undefined || rangeExtent === undefined || rangeTotals === undefined) {
    return (
      <p class="aside">
        Drag across the timeline, or press Shift with an arrow key, to select a range and see its totals.
      </p>
    );
  }
  return (
    <section class="range" aria-label="Selected range">
      <div class="section-head">
        <h3>
          Range: {formatCount(rangeTotals.events)} events in {formatDuration(rangeTotals.durationUs)}
        </h3>
        <button type="button" onClick={() => browser.showExtent(rangeExtent.from, rangeExtent.to)}>
          Zoom to range
        </button>
        <button type="button" onClick={() => browser.clearRange()}>
          Clear range
        </button>
      </div>
      {rangeTotals.omitted === 0 ? null : (
        <p class="aside">
          {formatCount(rangeTotals.omitted)} events in this range were skipped, so the totals below are too low.
        </p>
      )}
      <div class="range-totals">
        <Facts totals={rangeTotals} />
        {rangeTotals.fds.length === 0 ? null : <FdTotalsTable totals={rangeTotals} />}
      </div>
    </section>
  );
}

function Facts({ totals }: { totals: RangeTotals }): JSX.Element {
  const { durationUs, busyUs, idleUs } = totals;
  return (
    <dl class="facts">
      <dt>Busy</dt>
      <dd>
        {formatDuration(busyUs)}, {formatPercent(busyUs, durationUs)}
      </dd>
      <dt>Idle</dt>
      <dd>
        {formatDuration(idleUs)}, {formatPercent(idleUs, durationUs)}
      </dd>
      <dt>Waits</dt>
      <dd>
        {formatCount(totals.waits)}, {formatCount(totals.emptyWaits)} of them empty
      </dd>
      <dt>Received / sent</dt>
      <dd>
        {formatCount(totals.bytesIn)} B / {formatCount(totals.bytesOut)} B
      </dd>
      <dt>Accepted / closed</dt>
      <dd>
        {formatCount(totals.accepted)} / {formatCount(totals.closed)}
      </dd>
      <dt>Failed calls</dt>
      <dd>{formatCount(totals.failed)}</dd>
      <dt>Warnings</dt>
      <dd>{formatCount(totals.warnings)}</dd>
    </dl>
  );
}

function FdTotalsTable({ totals: { fds } }: { totals: RangeTotals }): JSX.Element {
  const hasSeveral = new Set(fds.map(({ key }) => pidOfKey(key))).size > 1;
  return (
    <table>
      <caption>
        By fd{fds.length > MAX_FDS ? `: the ${MAX_FDS} with the most time, of ${formatCount(fds.length)}` : ""}
      </caption>
      <thead>
        <tr>
          {["fd", "Events", "Received", "Sent", "Busy"].map((label) => (
            <th key={label} scope="col">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {fds.slice(0, MAX_FDS).map(({ key, events, bytesIn, bytesOut, busyUs }) => (
          <tr key={key}>
            <th scope="row">{formatFd(key, hasSeveral)}</th>
            <td class="number">{formatCount(events)}</td>
            <td class="number">{formatBytes(bytesIn)}</td>
            <td class="number">{formatBytes(bytesOut)}</td>
            <td class="number">{formatDuration(busyUs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
