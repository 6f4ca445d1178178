/** @jsxImportSource preact */
// The timeline: an overview of all events, the lanes of the extent that is shown, and a slider to move through the history.

import type { JSX, TargetedPointerEvent, TargetedWheelEvent } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { TraceEvent } from "../../../trace/events.ts";
import type { EventBrowser } from "./event-browser.ts";
import { EVENT_MARKS } from "./event-marks.ts";
import { formatCount, formatDuration, formatLine, formatTick } from "./format.ts";
import { RangePanel } from "./range-panel.tsx";
import { isFailure } from "./range-totals.ts";
import { axisWidth, LANE_HEIGHT, LANES_X, layoutTimeline, type Mark, type Tick, TOP } from "./timeline-layout.ts";
import { TimelineOverview } from "./timeline-overview.tsx";
import { useWidth } from "./use-width.ts";

const MARK_WIDTH = 14;
const MARK_HEIGHT = 18;
/** A pointer that moves less is a click. */
const MIN_DRAG = 5;
const ZOOM_STEP = 1.6;
const MIN_WIDTH = 240;

interface TimelineProps {
  browser: EventBrowser;
  /** The position of the selected event. */
  position: number;
  isNumeric: boolean;
  /** Called with the position of an event that the user selects; undefined: events cannot be selected. */
  onSelect: ((position: number) => void) | undefined;
}

export function Timeline({ browser, position, isNumeric, onSelect }: TimelineProps): JSX.Element {
  const [width, setWidth] = useState(0);
  const ref = useWidth<HTMLDivElement>((measured) => {
    setWidth(Math.max(MIN_WIDTH, measured));
    browser.setWidth(axisWidth(Math.max(MIN_WIDTH, measured)));
  });
  const isInteractive = onSelect !== undefined;
  return (
    <section class="timeline" aria-label="Timeline">
      <div class="section-head">
        <h2>Timeline</h2>
        <AxisControls browser={browser} isInteractive={isInteractive} />
      </div>
      <div ref={ref} class="timeline-body">
        {width === 0 ? null : (
          <>
            {isInteractive ? <TimelineOverview browser={browser} width={width} /> : null}
            <Chart browser={browser} width={width} isNumeric={isNumeric} onSelect={onSelect} />
          </>
        )}
      </div>
      {onSelect === undefined ? null : (
        <>
          <HistorySlider browser={browser} position={position} onSelect={onSelect} />
          <RangePanel browser={browser} />
        </>
      )}
      <Legend />
    </section>
  );
}

function AxisControls({ browser, isInteractive }: { browser: EventBrowser; isInteractive: boolean }): JSX.Element {
  const { extent, history } = browser;
  const shownUs =
    browser.unit === "time"
      ? extent.to - extent.from
      : (history.event(browser.positionAt(extent.to, true))?.us ?? 0) -
        (history.event(browser.positionAt(extent.from))?.us ?? 0);
  return (
    <>
      <small class="shown">{formatDuration(Math.max(0, shownUs))} shown</small>
      <select
        aria-label="Time axis"
        value={browser.unit}
        onChange={(e) => browser.setUnit(e.currentTarget.value === "time" ? "time" : "order")}
      >
        <option value="order">Event order</option>
        <option value="time">Time scale</option>
      </select>
      {isInteractive ? (
        <span class="group" role="group" aria-label="Zoom">
          <button
            type="button"
            aria-label="Zoom out"
            title="Zoom out (Ctrl with the wheel)"
            onClick={() => browser.zoom(ZOOM_STEP)}
          >
            −
          </button>
          <button
            type="button"
            aria-label="Zoom in"
            title="Zoom in (Ctrl with the wheel)"
            onClick={() => browser.zoom(1 / ZOOM_STEP)}
          >
            +
          </button>
          <button type="button" title="Show all events" onClick={() => browser.showAll()}>
            All
          </button>
          <button type="button" title="Default zoom, at the selected event" onClick={() => browser.resetExtent()}>
            Reset
          </button>
        </span>
      ) : null}
    </>
  );
}

interface ChartProps extends Omit<TimelineProps, "position"> {
  width: number;
}

function Chart({ browser, width, isNumeric, onSelect }: ChartProps): JSX.Element {
  const drag = useRef<{ fromX: number; isMoving: boolean } | undefined>(undefined);
  const { rows, unit, extent, spacing } = browser;
  const layout = useMemo(
    () => layoutTimeline({ rows, unit, extent, width, spacing }),
    [rows, rows.start, rows.end, rows.history.end, unit, extent.from, extent.to, width, spacing],
  );
  const { height, lanesBottom, lanes, marks, slices, gaps, ticks, toX, toValue } = layout;
  const selected = marks.find(({ first, last }) => browser.selected >= first && browser.selected <= last);
  const cursorX = selected?.x;
  const idOf = ({ first }: Mark): string => `mark-${first}`;
  const xOf = (event: MouseEvent): number => {
    const { left } = (event.currentTarget as Element).getBoundingClientRect();
    return Math.max(LANES_X, Math.min(width, event.clientX - left));
  };

  const onPointerDown = (event: TargetedPointerEvent<SVGSVGElement>): void => {
    if (event.button === 0) drag.current = { fromX: xOf(event), isMoving: false };
  };
  const onPointerMove = (event: TargetedPointerEvent<SVGSVGElement>): void => {
    if (drag.current === undefined) return;
    const { fromX } = drag.current;
    const x = xOf(event);
    if (!drag.current.isMoving && Math.abs(x - fromX) < MIN_DRAG) return;
    if (!drag.current.isMoving) event.currentTarget.setPointerCapture(event.pointerId);
    drag.current.isMoving = true;
    const [left, right] = [toValue(Math.min(fromX, x)), toValue(Math.max(fromX, x))];
    browser.selectRange(browser.positionAt(left), browser.positionAt(right, true));
  };
  const onPointerUp = (event: TargetedPointerEvent<SVGSVGElement>): void => {
    onPointerMove(event);
    // The click that follows a drag must not select an event.
    setTimeout(() => (drag.current = undefined));
  };
  const onWheel = (event: TargetedWheelEvent<SVGSVGElement>): void => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      browser.zoom(event.deltaY > 0 ? ZOOM_STEP : 1 / ZOOM_STEP, toValue(xOf(event)));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      browser.panBy((event.deltaX || event.deltaY) / width);
    }
  };
  const interaction =
    onSelect === undefined
      ? { role: "img" as const, "aria-label": `Timeline of ${marks.length} events` }
      : {
          role: "listbox" as const,
          tabindex: 0, // in SVG, attributes are case-sensitive
          "aria-label": "Timeline events, newest on the right",
          "aria-activedescendant": selected === undefined ? undefined : idOf(selected),
          onPointerDown,
          onPointerMove,
          onPointerUp,
          onPointerCancel: () => (drag.current = undefined),
          onWheel,
          onKeyDown: (event: KeyboardEvent) => onKeyDown(browser, event),
        };
  const { rangeExtent } = browser;
  return (
    <svg class="chart" viewBox={`0 0 ${width} ${height}`} width={width} height={height} {...interaction}>
      <g aria-hidden="true">
        {ticks.map((tick) => (
          <RulerTick key={tick.x} tick={tick} bottom={lanesBottom} width={width} />
        ))}
        {lanes.map(({ label, y }) => (
          <g key={label}>
            <line class="lane" x1={LANES_X} x2={width} y1={y} y2={y} />
            <text class="label" x={0} y={y + 4}>
              {label}
            </text>
          </g>
        ))}
        {slices.map(({ kind, x, width, y }, i) => (
          <rect
            key={i}
            class={`slice ${kind}`}
            x={x}
            y={y - LANE_HEIGHT / 2 + 2}
            width={width}
            height={LANE_HEIGHT - 4}
          />
        ))}
        {rangeExtent === undefined ? null : (
          <RangeShade from={toX(rangeExtent.from)} to={toX(rangeExtent.to)} bottom={lanesBottom} width={width} />
        )}
        {cursorX === undefined ? null : <line class="cursor" x1={cursorX} x2={cursorX} y1={TOP - 4} y2={lanesBottom} />}
        {gaps.map(({ x, omitted, hasLabel }) => (
          <g key={x} class="gap">
            <line x1={x} x2={x} y1={TOP - 6} y2={lanesBottom} />
            {hasLabel ? (
              <text x={Math.max(x, LANES_X + 30)} y={TOP - 8}>
                {formatCount(omitted)} skipped
              </text>
            ) : null}
          </g>
        ))}
      </g>
      {marks.map((mark) => (
        <EventMark
          key={mark.first}
          id={idOf(mark)}
          mark={mark}
          title={titleOf(mark, isNumeric)}
          isSelected={mark === selected}
          isDimmed={browser.isFiltering && !browser.isMatch(mark.position)}
          onSelect={
            onSelect === undefined
              ? undefined
              : () => {
                  if (drag.current?.isMoving !== true) onSelect(mark.position);
                }
          }
          onZoom={() => zoomToMark(browser, mark)}
        />
      ))}
    </svg>
  );
}

function RulerTick({ tick: { x, label }, bottom, width }: { tick: Tick; bottom: number; width: number }): JSX.Element {
  return (
    <g class="tick">
      <line x1={x} x2={x} y1={16} y2={bottom} />
      <text x={Math.min(x, width - 66)} y={12}>
        {label}
      </text>
    </g>
  );
}

interface RangeShadeProps {
  from: number;
  to: number;
  bottom: number;
  width: number;
}

function RangeShade({ from, to, bottom, width }: RangeShadeProps): JSX.Element | null {
  const left = Math.max(LANES_X, from);
  const right = Math.min(width, to);
  if (right < left) return null;
  return <rect class="range-shade" x={left} y={TOP - 4} width={Math.max(2, right - left)} height={bottom - TOP + 4} />;
}

interface EventMarkProps {
  id: string;
  mark: Mark;
  title: string;
  isSelected: boolean;
  isDimmed: boolean;
  onSelect: (() => void) | undefined;
  onZoom: () => void;
}

function EventMark({ id, mark, title, isSelected, isDimmed, onSelect, onZoom }: EventMarkProps): JSX.Element {
  const { event, count, isMixed, x, y, readyLanes } = mark;
  const classes = ["mark", isMixed && event.type !== "warning" ? "mixed" : event.type];
  if (isSelected) classes.push("is-selected");
  if (isFailure(event)) classes.push("has-failed");
  if (isDimmed) classes.push("is-dimmed");
  const option =
    onSelect === undefined ? {} : { role: "option" as const, "aria-selected": isSelected, "aria-label": title };
  return (
    <g id={id} class={classes.join(" ")} onClick={onSelect} onDblClick={onZoom} {...option}>
      <title>{title}</title>
      {readyLanes.map(({ key, y: laneY }) => (
        <line key={key} class="ready-line" x1={x} x2={x} y1={y} y2={laneY} />
      ))}
      <rect x={x - MARK_WIDTH / 2} y={y - MARK_HEIGHT / 2} width={MARK_WIDTH} height={MARK_HEIGHT} rx={3} />
      <text x={x} y={y + 4}>
        {letterOf(event, count, isMixed)}
      </text>
    </g>
  );
}

/** A cluster shows its number of events. */
function letterOf(event: TraceEvent, count: number, isMixed: boolean): string {
  if (event.type === "warning" || count === 1 || !isMixed) return EVENT_MARKS[event.type]?.letter ?? "";
  return count > 99 ? "…" : String(count);
}

function titleOf({ event, count, isMixed }: Mark, isNumeric: boolean): string {
  const line = formatLine(event, isNumeric).trim();
  if (count === 1) return line;
  return isMixed
    ? `${formatCount(count)} events, such as ${line}; double-click to zoom in`
    : `${formatCount(count)} × ${line}`;
}

function zoomToMark(browser: EventBrowser, { first, last }: Mark): void {
  if (browser.unit === "order") {
    browser.showExtent(browser.rows.indexAt(first) - 1, browser.rows.indexAt(last) + 1);
    return;
  }
  const us = (position: number): number => browser.history.event(position)?.us ?? 0;
  const margin = Math.max(5, (us(last) - us(first)) / 8);
  browser.showExtent(us(first) - margin, us(last) + margin);
}

/** Keys that apply while the timeline has the focus. Arrow keys apply everywhere, and are handled by the page. */
function onKeyDown(browser: EventBrowser, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const actions: Record<string, () => void> = {
    "+": () => browser.zoom(1 / ZOOM_STEP),
    "=": () => browser.zoom(1 / ZOOM_STEP),
    "-": () => browser.zoom(ZOOM_STEP),
    "0": () => browser.resetExtent(),
    PageUp: () => browser.panBy(-0.8),
    PageDown: () => browser.panBy(0.8),
  };
  const action = actions[event.key];
  if (action === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  action();
}

interface HistorySliderProps {
  browser: EventBrowser;
  position: number;
  onSelect: (position: number) => void;
}

function HistorySlider({ browser: { history }, position, onSelect }: HistorySliderProps): JSX.Element {
  const { seq, iteration, us } = history.event(position) ?? { seq: 0, iteration: 0, us: 0 };
  const text = `event ${formatCount(seq)}, iteration ${formatCount(iteration)}, ${formatTick(us, 1_000)}`;
  return (
    <label class="slider">
      <span>Position</span>
      <input
        type="range"
        min={history.start}
        max={Math.max(history.start, history.end - 1)}
        value={position}
        aria-valuetext={text}
        onInput={(e) => onSelect(Number(e.currentTarget.value))}
      />
      <span class="at" aria-hidden="true">
        {text}
      </span>
    </label>
  );
}

function Legend(): JSX.Element {
  return (
    <details class="legend">
      <summary>Legend</summary>
      <ul>
        {Object.entries(EVENT_MARKS).map(([type, { letter, name }]) => (
          <li key={type}>
            <svg width={18} height={20} aria-hidden="true">
              <g class={`legend-mark ${type}`}>
                <rect x={2} y={1} width={MARK_WIDTH} height={MARK_HEIGHT} rx={3} />
                <text x={9} y={14}>
                  {letter}
                </text>
              </g>
            </svg>
            {name}
          </li>
        ))}
      </ul>
      <p class="aside">
        A red mark is a call that failed. A number is a cluster of that many events. A dotted line leads from a wait to
        the fds that it reports; on the time scale, bars show how long the loop was blocked and how long it worked on
        each fd.
      </p>
    </details>
  );
}
