/** @jsxImportSource preact */
// The overview above the timeline: the density of all events, and the extent that the timeline shows, which can be dragged.

import type { JSX, TargetedPointerEvent } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type { EventBrowser } from "./event-browser.ts";
import { type Bin, overviewBins } from "./overview-bins.ts";

const HEIGHT = 30;
const MIN_BIN_WIDTH = 3;
/** The distance from an edge of the extent within which a drag moves that edge. */
const EDGE = 7;
/** The smallest width at which the extent is drawn. */
const MIN_WIDTH = 4;

/** Not exposed to assistive technology: the zoom buttons, the slider and the event list do the same. */
export function TimelineOverview({ browser, width }: { browser: EventBrowser; width: number }): JSX.Element {
  const drag = useRef<{ part: "from" | "to" | "all"; grabbed: number } | undefined>(undefined);
  const { bounds, extent, history, unit } = browser;
  const rowCount = browser.rows.end - browser.rows.start;
  const count = Math.max(1, Math.min(Math.floor(width / MIN_BIN_WIDTH), unit === "order" ? rowCount : Infinity));
  const bins = useMemo(
    () => overviewBins(browser, count),
    [history, history.start, history.end, browser.rows.end, unit, count],
  );
  const span = Math.max(bounds.to - bounds.from, Number.MIN_VALUE);
  const toX = (value: number): number => Math.max(0, Math.min(width, ((value - bounds.from) / span) * width));
  const [left, right] = [toX(extent.from), toX(extent.to)];
  const valueAt = (event: PointerEvent): number => {
    const { left: origin } = (event.currentTarget as Element).getBoundingClientRect();
    return bounds.from + ((event.clientX - origin) / Math.max(1, width)) * span;
  };

  const onPointerDown = (event: TargetedPointerEvent<SVGSVGElement>): void => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const value = valueAt(event);
    const x = toX(value);
    const part = Math.abs(x - left) < EDGE ? "from" : Math.abs(x - right) < EDGE ? "to" : "all";
    const isInside = value >= extent.from && value <= extent.to;
    drag.current = { part, grabbed: isInside ? value - extent.from : (extent.to - extent.from) / 2 };
    onPointerMove(event);
  };
  const onPointerMove = (event: TargetedPointerEvent<SVGSVGElement>): void => {
    if (drag.current === undefined) return;
    const { part, grabbed } = drag.current;
    const value = valueAt(event);
    if (part === "from") browser.showExtent(Math.min(value, extent.to), extent.to);
    else if (part === "to") browser.showExtent(extent.from, Math.max(value, extent.from));
    else browser.pan(value - grabbed - extent.from);
  };
  const onPointerUp = (): void => {
    drag.current = undefined;
  };
  return (
    <svg
      class="overview"
      width={width}
      height={HEIGHT}
      aria-hidden="true"
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerUp}
      onPointerCancel={onPointerUp}
    >
      <path class="density" d={densityPath(bins, width / count)} />
      <path class="failures" d={ticksPath(bins, width / count, ({ hasFailure }) => hasFailure)} />
      <path class="warnings-marks" d={ticksPath(bins, width / count, ({ hasWarning }) => hasWarning)} />
      <rect class="shade" x={0} y={0} width={left} height={HEIGHT} />
      <rect class="shade" x={right} y={0} width={Math.max(0, width - right)} height={HEIGHT} />
      <rect
        class="window"
        x={Math.min(left, width - MIN_WIDTH)}
        y={0.5}
        width={Math.max(MIN_WIDTH, right - left)}
        height={HEIGHT - 1}
      />
    </svg>
  );
}

/** Draws the number of events of each bin, on a scale by which a few events remain visible beside many. */
function densityPath(bins: readonly Bin[], binWidth: number): string {
  const max = Math.sqrt(bins.reduce((most, { events }) => Math.max(most, events), 1));
  return bins
    .map(({ events }, i) => {
      const height = events === 0 ? 0 : Math.max(2, (Math.sqrt(events) / max) * (HEIGHT - 8));
      return bar(i * binWidth, HEIGHT - height, binWidth, height);
    })
    .join("");
}

function ticksPath(bins: readonly Bin[], binWidth: number, isMarked: (bin: Bin) => boolean): string {
  return bins.map((bin, i) => (isMarked(bin) ? bar(i * binWidth, 0, Math.max(2, binWidth), 6) : "")).join("");
}

function bar(x: number, y: number, width: number, height: number): string {
  return `M${x.toFixed(1)} ${y.toFixed(1)}h${width.toFixed(1)}v${height.toFixed(1)}h${(-width).toFixed(1)}z`;
}
