/** @jsxImportSource preact */
// The distribution of the time per iteration, handler and request: percentiles, and a small histogram.

import type { JSX } from "preact";
import type { HistogramBar, HistogramSummary } from "../../debugger/log-histogram.ts";
import { formatCount, formatDuration } from "./format.ts";
import type { Store } from "./store.ts";

const KINDS = [
  ["iteration", "Iteration", "From the return of epoll_wait to the next call"],
  ["handler", "Handler", "On one fd in one iteration"],
  ["request", "Request", "From the first byte received of a request to the first byte sent of its response"],
] as const;

const BAR_WIDTH = 6;
const HEIGHT = 24;

export function Timings({ store: { timings } }: { store: Store }): JSX.Element | null {
  if (timings === undefined) return null;
  return (
    <section class="timings" aria-label="Timings">
      <h2>Timings</h2>
      <div class="scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              {["Per", "p50", "p90", "p99", "Max", "Count", "Histogram"].map((label) => (
                <th key={label} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {KINDS.map(([kind, label, title]) => (
              <TimingRow key={kind} kind={kind} label={label} title={title} summary={timings[kind]} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface TimingRowProps {
  kind: string;
  label: string;
  title: string;
  summary: HistogramSummary;
}

function TimingRow({ kind, label, title, summary }: TimingRowProps): JSX.Element {
  const { count, p50Us, p90Us, p99Us, maxUs, bars } = summary;
  return (
    <tr data-timing={kind}>
      <th scope="row" title={title}>
        {label}
      </th>
      {[p50Us, p90Us, p99Us, maxUs].map((us, i) => (
        <td key={i} class="number">
          {count === 0 ? "–" : formatDuration(us)}
        </td>
      ))}
      <td class="number">{formatCount(count)}</td>
      <td>{bars.length === 0 ? null : <Histogram label={label} bars={bars} />}</td>
    </tr>
  );
}

/** One bar for each power of two. A bar that is not empty is at least one pixel high. */
function Histogram({ label, bars }: { label: string; bars: readonly HistogramBar[] }): JSX.Element {
  const most = Math.max(...bars.map(({ count }) => count));
  const [first, last] = [bars[0], bars.at(-1)];
  const range = `${formatDuration(first?.fromUs ?? 0)} to ${formatDuration(last?.toUs ?? 0)}`;
  return (
    <svg
      width={bars.length * BAR_WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${bars.length * BAR_WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`Histogram of the time per ${label.toLowerCase()}, ${range}`}
    >
      {bars.map(({ fromUs, toUs, count }, i) => {
        const height = count === 0 ? 0 : Math.max(1, (count / most) * HEIGHT);
        return (
          <rect key={fromUs} x={i * BAR_WIDTH} y={HEIGHT - height} width={BAR_WIDTH - 1} height={height}>
            <title>
              {formatDuration(fromUs)} to {formatDuration(toUs)}: {formatCount(count)}
            </title>
          </rect>
        );
      })}
    </svg>
  );
}
