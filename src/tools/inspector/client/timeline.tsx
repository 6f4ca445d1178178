/** @jsxImportSource preact */
// The timeline of recent events, with a slider to move through the history.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { TraceEvent } from "../../../trace/events.ts";
import { hasLine } from "../../../trace/format.ts";
import type { EventHistory } from "./event-history.ts";
import { formatCount, formatDuration, formatLine } from "./format.ts";
import { LANES_X, type Lane, layoutTimeline, type Mark, MAX_MARKS, TOP, WIDTH } from "./timeline-layout.ts";

/** Each event type has a letter and a color; neither is needed to understand the other. */
const LETTERS: Partial<Record<TraceEvent["type"], string>> = {
  wait: "W",
  accept: "A",
  recv: "R",
  send: "S",
  ctl: "C",
  shutdown: "D",
  close: "X",
  reset: "0",
  state: "·",
  warning: "!",
  listen: "L",
  create: "E",
  connect: "N",
};

interface TimelineProps {
  history: EventHistory;
  /** The position of the selected event. */
  position: number;
  isNumeric: boolean;
  /** Called with the position of an event that the user selects; undefined: events cannot be selected. */
  onSelect: ((position: number) => void) | undefined;
}

export function Timeline({ history, position, isNumeric, onSelect }: TimelineProps): JSX.Element {
  const [isToScale, setToScale] = useState(false);
  const entries = history
    .eventsUpTo(position, 3 * MAX_MARKS) // more than fit, because some have no line
    .filter(({ event }) => hasLine(event))
    .slice(-MAX_MARKS);
  const { height, lanesBottom, loopY, lanes, marks } = layoutTimeline(entries, isToScale);
  const [first, last] = [entries[0]?.event, entries.at(-1)?.event];
  return (
    <section class="timeline" aria-label="Timeline">
      <h2>
        Timeline{" "}
        <select
          aria-label="Time axis"
          value={isToScale ? "time" : "order"}
          onChange={(e) => setToScale(e.currentTarget.value === "time")}
        >
          <option value="order">event order</option>
          <option value="time">time scale</option>
        </select>
        {first !== undefined && last !== undefined ? <small> {formatDuration(last.us - first.us)} shown</small> : null}
      </h2>
      <div class="scroll" tabIndex={0}>
        <svg
          viewBox={`0 0 ${WIDTH} ${height}`}
          width={WIDTH}
          height={height}
          role="group"
          aria-label="Events, newest on the right"
        >
          <text class="label" x={0} y={loopY + 4}>
            loop
          </text>
          {lanes.map((lane) => (
            <LaneLine key={lane.fd} lane={lane} />
          ))}
          {marks.map((mark, i) => (
            <EventMark
              key={i}
              mark={mark}
              title={formatLine(mark.event, isNumeric).trim()}
              isSelected={mark.position === position}
              gapBottom={lanesBottom}
              onSelect={onSelect}
            />
          ))}
        </svg>
      </div>
      <p class="legend aside">
        W epoll_wait, A accept, R recv, S send, C epoll_ctl, D shutdown, X close, dot state change, ! warning, L listen,
        E epoll_create1, N connect, 0 reset
      </p>
      {onSelect === undefined ? null : (
        <HistorySlider history={history} position={position} event={last} onSelect={onSelect} />
      )}
    </section>
  );
}

function LaneLine({ lane: { fd, y } }: { lane: Lane }): JSX.Element {
  return (
    <g>
      <line class="lane" x1={LANES_X} x2={WIDTH} y1={y} y2={y} />
      <text class="label" x={0} y={y + 4}>
        fd {fd}
      </text>
    </g>
  );
}

interface EventMarkProps {
  mark: Mark;
  title: string;
  isSelected: boolean;
  gapBottom: number;
  onSelect: ((position: number) => void) | undefined;
}

function EventMark({ mark, title, isSelected, gapBottom, onSelect }: EventMarkProps): JSX.Element {
  const { position, event, omitted, x, y, readyLanes } = mark;
  const hasFailed = "result" in event && event.result < 0;
  return (
    <g
      class={`mark ${event.type}${isSelected ? " is-selected" : ""}${hasFailed ? " has-failed" : ""}`}
      onClick={() => onSelect?.(position)}
    >
      <title>{title}</title>
      {omitted > 0 ? (
        <g class="gap">
          <line x1={x - 8} x2={x - 8} y1={TOP} y2={gapBottom} />
          <text x={x - 8} y={10}>
            {formatCount(omitted)} skipped
          </text>
        </g>
      ) : null}
      {readyLanes.map((lane) => (
        <line key={lane.fd} class="ready-line" x1={x} x2={x} y1={y} y2={lane.y} />
      ))}
      <rect x={x - 7} y={y - 9} width={14} height={18} rx={3} />
      <text x={x} y={y + 4}>
        {LETTERS[event.type]}
      </text>
    </g>
  );
}

interface HistorySliderProps {
  history: EventHistory;
  position: number;
  event: TraceEvent | undefined;
  onSelect: (position: number) => void;
}

function HistorySlider({ history, position, event, onSelect }: HistorySliderProps): JSX.Element {
  const { seq, iteration } = event ?? { seq: 0, iteration: 0 };
  return (
    <label class="slider">
      <span>Event</span>
      <input
        type="range"
        min={history.start}
        max={Math.max(history.start, history.end - 1)}
        value={position}
        aria-valuetext={`event ${seq}, iteration ${iteration}`}
        onInput={(e) => onSelect(Number(e.currentTarget.value))}
      />
      <output>
        {formatCount(seq)}, iteration {formatCount(iteration)}
      </output>
    </label>
  );
}
