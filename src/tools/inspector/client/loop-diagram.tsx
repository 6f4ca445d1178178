/** @jsxImportSource preact */
// The loop as a ring: wait, ready, dispatch, ctl; where it is, and where its time goes.

import type { JSX } from "preact";
import type { Store } from "./store.ts";
import type { View } from "./event-history.ts";
import { duration, number, type Phase, phaseOf, PHASES } from "./format.ts";

const ORDER: readonly Phase[] = ["wait", "ready", "dispatch", "ctl"];
const RADIUS = 74;
const CENTER = 100;

export function LoopDiagram({ store, view }: { store: Store; view: View }): JSX.Element {
  const isRunning = store.isLive && store.state?.run === "running";
  const phase: Phase = isRunning ? "wait" : phaseOf(view.event);
  const { counts } = store.tape;
  const rested = counts === undefined ? 0 : counts.blockedUs + counts.awayUs;
  const spent = rested + (counts?.workedUs ?? 0);
  const said = isRunning ? "it runs" : view.iteration === 0 ? "before the first wait" : PHASES[phase];
  return (
    <section class="ring" aria-label="The loop">
      <svg viewBox="0 0 200 200" role="img" aria-label={`The loop, iteration ${view.iteration}: ${said}`}>
        {ORDER.map((one, i) => (
          <g key={one} class={one === phase && !isRunning ? "arc here" : "arc"}>
            <path d={arc(i)} />
            <text x={CENTER + 74 * Math.cos(middle(i))} y={CENTER + 74 * Math.sin(middle(i)) + 4}>
              {one}
            </text>
          </g>
        ))}
        <text class="iteration" x={CENTER} y={96}>
          {number(view.iteration)}
        </text>
        <text class="unit" x={CENTER} y={114}>
          {view.iteration === 1 ? "iteration" : "iterations"}
        </text>
      </svg>
      <p class="said" data-phase={phase}>
        {said}
        {view.event?.type === "wait" ? `, after ${duration(view.event.blockedUs)}` : ""}
      </p>
      {counts === undefined ? null : (
        <dl class="facts">
          <dt>{counts.awayUs > 0 ? "in Bun's loop" : "blocked"}</dt>
          <dd>
            {((100 * rested) / Math.max(1, spent)).toFixed(1)} % of {duration(spent)}
          </dd>
          <dt>received, sent</dt>
          <dd>
            {number(counts.bytesIn)} B, {number(counts.bytesOut)} B
          </dd>
          <dt>accepted, closed</dt>
          <dd>
            {number(counts.events.accept ?? 0)}, {number(counts.events.close ?? 0)}
          </dd>
          {counts.iterations === 0 ? null : (
            <>
              <dt>being watched adds</dt>
              <dd id="watching">
                {(counts.watchingUs / Math.max(1, counts.iterations)).toFixed(1)} µs to an iteration,{" "}
                {((100 * counts.watchingUs) / Math.max(1, counts.workedUs)).toFixed(0)} % to its work
              </dd>
            </>
          )}
        </dl>
      )}
    </section>
  );
}

/** Clockwise from the top, a quarter each with a gap between them. */
function middle(i: number): number {
  return (i / 4) * 2 * Math.PI - Math.PI / 2;
}

function arc(i: number): string {
  const [from, to] = [middle(i) - Math.PI / 4 + 0.06, middle(i) + Math.PI / 4 - 0.06];
  const point = (angle: number): string =>
    `${(CENTER + RADIUS * Math.cos(angle)).toFixed(1)} ${(CENTER + RADIUS * Math.sin(angle)).toFixed(1)}`;
  return `M ${point(from)} A ${RADIUS} ${RADIUS} 0 0 1 ${point(to)}`;
}
