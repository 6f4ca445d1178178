// The three series of the charts, one for each call: names, letters, colors and points.

import type { Call } from "./fd-pool.ts";
import type { Step } from "./measure.ts";

/** The name of each call, its letter in the chart, and its ANSI color. */
export const SERIES: Record<Call, { name: string; letter: string; color: number }> = {
  select: { name: "select", letter: "s", color: 33 },
  poll: { name: "poll", letter: "p", color: 35 },
  epoll: { name: "epoll_wait", letter: "e", color: 36 },
};

interface Point {
  fds: number;
  ns: number;
}

/** Returns the steps at which a call was measured. */
export function pointsOf(steps: readonly Step[], call: Call): Point[] {
  return steps.flatMap(({ fds, [call]: ns }) => (ns === null ? [] : [{ fds, ns }]));
}
