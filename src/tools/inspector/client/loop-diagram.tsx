/** @jsxImportSource preact */
// The event loop as a circle of four phases: wait, ready, dispatch, ctl.

import type { JSX } from "preact";
import type { TraceEvent } from "../../../trace/events.ts";
import type { SampleCounts } from "../../debugger/sampler.ts";
import type { View } from "./event-history.ts";
import { formatCount, formatDuration } from "./format.ts";
import type { Store } from "./store.ts";

type LoopPhase = "wait" | "ready" | "dispatch" | "ctl";

/** Clockwise from the top. */
const PHASES: readonly LoopPhase[] = ["wait", "ready", "dispatch", "ctl"];
const PHASE_LABELS: Record<LoopPhase, string> = {
  wait: "blocked in epoll_wait",
  ready: "epoll_wait returned",
  dispatch: "handling an fd",
  ctl: "changing a registration",
};
const RADIUS = 74;
const CENTER = 100;
/** Half the gap between two arcs, in radians. */
const HALF_GAP = 0.06;

export function LoopDiagram({ store, view }: { store: Store; view: View }): JSX.Element {
  const isRunning = store.isFollowing && store.state?.run === "running";
  const phase: LoopPhase = isRunning ? "wait" : phaseOf(view.event);
  const label = isRunning ? "running" : view.iteration === 0 ? "before the first epoll_wait" : PHASE_LABELS[phase];
  const { counts } = store.history;
  return (
    <section class="loop-diagram" aria-label="Event loop">
      <svg viewBox="0 0 200 200" role="img" aria-label={`Event loop, iteration ${view.iteration}: ${label}`}>
        {PHASES.map((one, i) => (
          <g key={one} class={one === phase && !isRunning ? "arc is-current" : "arc"}>
            <path d={arc(i)} />
            <text x={CENTER + RADIUS * Math.cos(middle(i))} y={CENTER + RADIUS * Math.sin(middle(i)) + 4}>
              {one}
            </text>
          </g>
        ))}
        <text class="unit" x={CENTER} y={88}>
          iteration
        </text>
        <text class="iteration" x={CENTER} y={114}>
          {formatCount(view.iteration)}
        </text>
      </svg>
      <p class="phase" data-phase={phase}>
        {label}
        {view.event?.type === "wait" ? ` after ${formatDuration(view.event.blockedUs)}` : ""}
      </p>
      {counts === undefined ? null : <Totals counts={counts} />}
    </section>
  );
}

function Totals({ counts }: { counts: SampleCounts }): JSX.Element {
  const waitingUs = counts.blockedUs + counts.awayUs;
  const totalUs = waitingUs + counts.workedUs;
  return (
    <dl class="facts">
      <dt>{counts.awayUs > 0 ? "In Bun's event loop" : "Blocked"}</dt>
      <dd>
        {percent(waitingUs, totalUs, 1)} of {formatDuration(totalUs)}
      </dd>
      <dt>Received / sent</dt>
      <dd>
        {formatCount(counts.bytesIn)} B / {formatCount(counts.bytesOut)} B
      </dd>
      <dt>Accepted / closed</dt>
      <dd>
        {formatCount(counts.accepted)} / {formatCount(counts.events.close ?? 0)}
      </dd>
      {counts.iterations === 0 ? null : (
        <>
          <dt>Inspector overhead</dt>
          <dd id="overhead">
            {formatDuration(counts.overheadUs / counts.iterations)} per iteration, +
            {percent(counts.overheadUs, counts.workedUs, 0)} working time
          </dd>
        </>
      )}
    </dl>
  );
}

function percent(part: number, whole: number, digits: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(digits)}%`;
}

/** Returns the phase of the loop during which the event happened. */
function phaseOf(event: TraceEvent | undefined): LoopPhase {
  switch (event?.type) {
    case undefined:
    case "begin":
    case "listen":
    case "create":
    case "iteration":
      return "wait";
    case "wait":
      return "ready";
    case "ctl":
      return "ctl";
    default:
      return "dispatch";
  }
}

/** Returns the angle of the middle of a quarter, clockwise from the top. */
function middle(quarter: number): number {
  return (quarter / 4) * 2 * Math.PI - Math.PI / 2;
}

function arc(quarter: number): string {
  const [from, to] = [middle(quarter) - Math.PI / 4 + HALF_GAP, middle(quarter) + Math.PI / 4 - HALF_GAP];
  const point = (angle: number): string =>
    `${(CENTER + RADIUS * Math.cos(angle)).toFixed(1)} ${(CENTER + RADIUS * Math.sin(angle)).toFixed(1)}`;
  return `M ${point(from)} A ${RADIUS} ${RADIUS} 0 0 1 ${point(to)}`;
}
