/** @jsxImportSource preact */
// The event loop as a circle of four phases: wait, ready, dispatch, ctl.

import type { JSX } from "preact";
import type { TraceEvent } from "../../../trace/events.ts";
import type { LoopState } from "../messages.ts";
import type { SampleCounts } from "../../debugger/sampler.ts";
import type { View } from "./event-history.ts";
import { formatCompact, formatCount, formatDuration, formatPercent } from "./format.ts";
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
  const hasEnded = store.isFollowing && store.hasEnded;
  const hasPhase = !isRunning && !hasEnded;
  const waitsIn = store.isFollowing && store.isPaused ? store.state?.waitsIn : undefined;
  const phase: LoopPhase = hasPhase && waitsIn === undefined ? phaseOf(view.event) : "wait";
  const label = isRunning ? "running" : hasEnded ? "ended" : labelOf(phase, view.iteration, waitsIn);
  const counts = store.history.countsAt(view.position);
  const iteration = formatCompact(view.iteration);
  return (
    <section class="loop-diagram" aria-label="Event loop">
      <svg viewBox="0 0 200 200" role="img" aria-label={`Event loop, iteration ${view.iteration}: ${label}`}>
        {PHASES.map((one, i) => (
          <g key={one} class={one === phase && hasPhase ? "arc is-current" : "arc"}>
            <path id={`arc-${one}`} class="band" d={arc(i, RADIUS, false)} />
            {/* The text of the lower half runs the other way, so that it is not upside down. */}
            <path id={`baseline-${one}`} class="baseline" d={arc(i, i === 2 ? RADIUS + 4 : RADIUS - 4, i === 2)} />
            <text>
              <textPath href={`#baseline-${one}`} startOffset="50%">
                {one}
              </textPath>
            </text>
          </g>
        ))}
        <text class="unit" x={CENTER} y={90}>
          iteration
        </text>
        <text class="iteration" x={CENTER} y={116} style={{ fontSize: `${Math.min(24, 150 / iteration.length)}px` }}>
          {iteration}
        </text>
      </svg>
      <div>
        <p class="phase" data-phase={phase}>
          {label}
          {hasPhase && waitsIn === undefined && view.event?.type === "wait"
            ? ` after ${formatDuration(view.event.blockedUs)}`
            : ""}
        </p>
        {counts === undefined ? null : <Totals counts={counts} overheadUs={store.history.overhead.perEventUs} />}
      </div>
    </section>
  );
}

function labelOf(phase: LoopPhase, iteration: number, waitsIn: LoopState["waitsIn"]): string {
  if (waitsIn === "bun") return "in Bun's event loop";
  if (waitsIn !== undefined) return `blocked in epoll_wait(${waitsIn})`;
  return iteration === 0 ? "before the first epoll_wait" : PHASE_LABELS[phase];
}

function Totals({ counts, overheadUs }: { counts: SampleCounts; overheadUs: number | undefined }): JSX.Element {
  const idleUs = counts.blockedUs + counts.awayUs;
  const totalUs = idleUs + counts.workedUs;
  return (
    <dl class="facts">
      <dt title={counts.awayUs > 0 ? "In epoll_wait, or in Bun's event loop" : "In epoll_wait"}>Idle</dt>
      <dd>
        {formatPercent(idleUs, totalUs)} of {formatDuration(totalUs)}
      </dd>
      <dt title="Between two waits">Busy</dt>
      <dd>{formatDuration(counts.workedUs)}</dd>
      <dt>Received</dt>
      <dd>{formatCount(counts.bytesIn)} B</dd>
      <dt>Sent</dt>
      <dd>{formatCount(counts.bytesOut)} B</dd>
      <dt>Accepted / closed</dt>
      <dd>
        {formatCount(counts.accepted)} / {formatCount(counts.events.close ?? 0)}
      </dd>
      {overheadUs === undefined ? null : (
        <>
          <dt title="The median of recent samples">Tracing overhead</dt>
          <dd id="overhead">{formatDuration(overheadUs)} per event</dd>
        </>
      )}
    </dl>
  );
}

/** Returns the phase of the loop during which the event happened. */
function phaseOf(event: TraceEvent | undefined): LoopPhase {
  switch (event?.type) {
    case undefined:
    case "begin":
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

/** Returns the path of a quarter, clockwise or counterclockwise. */
function arc(quarter: number, radius: number, isReversed: boolean): string {
  const angles = [middle(quarter) - Math.PI / 4 + HALF_GAP, middle(quarter) + Math.PI / 4 - HALF_GAP];
  const [from = 0, to = 0] = isReversed ? angles.toReversed() : angles;
  const point = (angle: number): string =>
    `${(CENTER + radius * Math.cos(angle)).toFixed(1)} ${(CENTER + radius * Math.sin(angle)).toFixed(1)}`;
  return `M ${point(from)} A ${radius} ${radius} 0 0 ${isReversed ? 0 : 1} ${point(to)}`;
}
