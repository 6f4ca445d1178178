/** @jsxImportSource preact */
// The timeline: a lane for each descriptor, a mark for each event, by their order or by the clock.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { TraceEvent } from "../../../trace/events.ts";
import { hasLine } from "../../../trace/format.ts";
import type { EventHistory } from "./event-history.ts";
import { duration, fdOf, lineOf, number } from "./format.ts";

const EVENTS = 48;
const LANES = 14;
const LANE_PX = 22;
const LABEL_PX = 44;
const WIDTH = 760;
const TOP_PX = 16;

interface Mark {
  position: number;
  event: TraceEvent;
  omitted: number;
  x: number;
}

/** What an event looks like: a letter and a colour, and both say the same. */
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

export function Timeline({
  tape,
  position,
  isNumeric,
  onMove,
}: {
  tape: EventHistory;
  position: number;
  isNumeric: boolean;
  onMove: ((position: number) => void) | undefined;
}): JSX.Element {
  const [isTimed, time] = useState(false);
  const found = tape.upTo(position, 3 * EVENTS).filter(({ event }) => hasLine(event));
  const events = found.slice(-EVENTS);
  const marks = placed(events, isTimed);
  const lanes = lanesOf(marks);
  const height = TOP_PX + (lanes.length + 1) * LANE_PX + 14;
  const y = (fd: number | undefined): number => {
    const at = fd === undefined ? -1 : lanes.indexOf(fd);
    return TOP_PX + (at + 1) * LANE_PX + LANE_PX / 2;
  };
  const [first, last] = [events[0]?.event, events.at(-1)?.event];
  return (
    <section class="lanes" aria-label="Timeline">
      <h2>
        Timeline{" "}
        <label>
          <select value={isTimed ? "time" : "order"} onChange={(e) => time(e.currentTarget.value === "time")}>
            <option value="order">by order</option>
            <option value="time">by the clock</option>
          </select>
          {first !== undefined && last !== undefined ? <small> {duration(last.us - first.us)} are shown</small> : null}
        </label>
      </h2>
      <div class="scroll" tabIndex={0}>
        <svg
          viewBox={`0 0 ${WIDTH} ${height}`}
          width={WIDTH}
          height={height}
          role="group"
          aria-label="Events, the newest at the right"
        >
          <text class="label" x={0} y={y(undefined) + 4}>
            loop
          </text>
          {lanes.map((fd) => (
            <g key={fd}>
              <line class="lane" x1={LABEL_PX} x2={WIDTH} y1={y(fd)} y2={y(fd)} />
              <text class="label" x={0} y={y(fd) + 4}>
                fd {fd}
              </text>
            </g>
          ))}
          {marks.map(({ position: at, event, omitted, x }, i) => {
            const own = y(fdOf(event));
            const text = lineOf(event, isNumeric).trim();
            return (
              <g
                key={i}
                class={`mark ${event.type}${at === position ? " here" : ""}${failed(event) ? " failed" : ""}`}
                onClick={() => onMove?.(at)}
              >
                <title>{text}</title>
                {omitted > 0 ? (
                  <g class="gap">
                    <line x1={x - 8} x2={x - 8} y1={TOP_PX} y2={height - 14} />
                    <text x={x - 8} y={10}>
                      {number(omitted)} not shown
                    </text>
                  </g>
                ) : null}
                {event.type === "wait"
                  ? event.events.map(([fd]) =>
                      lanes.includes(fd) ? <line key={fd} class="brings" x1={x} x2={x} y1={own} y2={y(fd)} /> : null,
                    )
                  : null}
                <rect x={x - 7} y={own - 9} width={14} height={18} rx={3} />
                <text x={x} y={own + 4}>
                  {LETTERS[event.type]}
                </text>
              </g>
            );
          })}
        </svg>
      </div>
      <p class="legend aside">
        W epoll_wait · A accept · R recv · S send · C epoll_ctl · D shutdown · X close · a dot: its state · !: a warning
      </p>
      {onMove === undefined ? null : (
        <label class="scrubber">
          <span>event</span>
          <input
            type="range"
            min={tape.start}
            max={Math.max(tape.start, tape.end - 1)}
            value={position}
            aria-valuetext={`event ${last?.seq ?? 0}, iteration ${last?.iteration ?? 0}`}
            onInput={(e) => onMove(Number(e.currentTarget.value))}
          />
          <output>
            {number(last?.seq ?? 0)}, iteration {number(last?.iteration ?? 0)}
          </output>
        </label>
      )}
    </section>
  );
}

function placed(events: { position: number; event: TraceEvent; omitted: number }[], isTimed: boolean): Mark[] {
  const [first, last] = [events[0]?.event.us ?? 0, events.at(-1)?.event.us ?? 0];
  const room = WIDTH - LABEL_PX - 20;
  const span = Math.max(1, last - first);
  return events.map((one, i) => ({
    ...one,
    x: LABEL_PX + 10 + (isTimed ? ((one.event.us - first) / span) * room : (i / Math.max(EVENTS - 1, 1)) * room),
  }));
}

/** Those that something happened to, by number; of too many the ones of the newest events. */
function lanesOf(marks: readonly Mark[]): number[] {
  const fds = new Set<number>();
  for (const { event } of marks.toReversed()) {
    const own = fdOf(event);
    for (const fd of [
      ...(own === undefined ? [] : [own]),
      ...(event.type === "wait" ? event.events.map(([one]) => one) : []),
    ]) {
      if (fds.size < LANES) fds.add(fd);
    }
  }
  return [...fds].sort((a, b) => a - b);
}

function failed(event: TraceEvent): boolean {
  return "result" in event && event.result < 0;
}
