// Summary sentences derived from the measured times: the fastest call, the crossover points, and how the times grow.

import { FD_SETSIZE } from "./fd-pool.ts";
import { formatInteger, formatRatio, formatTime } from "./format.ts";
import type { Step } from "./measure.ts";

/** Times whose ratio is smaller are about the same: measurements of one call vary this much. */
const MAX_SIMILAR_RATIO = 1.5;

type OlderCall = "select" | "poll";

/** The smallest number of fds from which on epoll_wait was faster at every step. `null`: it was not faster at the last step. */
export interface Crossover {
  readonly select: number | null;
  readonly poll: number | null;
}

export function crossover(steps: readonly Step[]): Crossover {
  return { select: crossoverWith("select", steps), poll: crossoverWith("poll", steps) };
}

export function summarize(steps: readonly Step[]): string[] {
  const [first] = steps;
  const last = steps.at(-1);
  if (first === undefined || last === undefined) return [];
  return [
    describeFastest(first),
    ...(steps.length > 1 ? [describeCrossover(steps), describeFastest(last), describeGrowth(first, last)] : []),
    ...(last.select === null ? [describeSelectLimit(steps)] : []),
  ];
}

function crossoverWith(call: OlderCall, steps: readonly Step[]): number | null {
  let from: number | null = null;
  for (const { fds, epoll, ...times } of steps) {
    const time = times[call];
    if (time === null) break;
    if (epoll >= time) from = null;
    else from ??= fds;
  }
  return from;
}

function describeFastest({ fds, select, poll, epoll }: Step): string {
  const all = [
    { name: "select", time: select },
    { name: "poll", time: poll },
    { name: "epoll_wait", time: epoll },
  ];
  const [fastest, ...others] = all
    .filter((each): each is { name: string; time: number } => each.time !== null)
    .sort((a, b) => a.time - b.time);
  if (fastest === undefined) return "";
  const slower = others.map(({ name, time }, i) => {
    return `${name}${i === 0 ? " takes" : ""} ${formatRatio(time / fastest.time)} times${i === 0 ? " as long" : ""}`;
  });
  return `With ${formatInteger(fds)} file descriptors, ${fastest.name} is the fastest (${formatTime(fastest.time)}): ${slower.join(", ")}.`;
}

function describeCrossover(steps: readonly Step[]): string {
  const at = crossover(steps);
  const min = steps[0]?.fds;
  const describe = (call: OlderCall): string => {
    if (at[call] === null) return `not faster than ${call} at the last step that both have`;
    return at[call] === min
      ? `faster than ${call} at every step`
      : `faster than ${call} from ${formatInteger(at[call])} file descriptors on`;
  };
  return at.select === at.poll && at.poll === min
    ? "epoll_wait is faster than both at every step: there is no crossover."
    : `epoll_wait is ${describe("select")}, and ${describe("poll")}.`;
}

function describeGrowth(first: Step, last: Step): string {
  const factor = formatInteger(Math.round(last.fds / first.fds));
  const poll = describeRatio(last.poll / first.poll);
  const epoll = describeRatio(last.epoll / first.epoll);
  return `With ${factor} times as many file descriptors, a call of poll takes ${poll} as before, a call of epoll_wait ${epoll}.`;
}

function describeRatio(ratio: number): string {
  const isSimilar = ratio > 1 / MAX_SIMILAR_RATIO && ratio < MAX_SIMILAR_RATIO;
  return isSimilar ? "about as long" : `${formatRatio(ratio)} times as long`;
}

function describeSelectLimit(steps: readonly Step[]): string {
  const end = steps.findLast(({ select }) => select !== null);
  const where = end === undefined ? "cannot be measured" : `stops after ${formatInteger(end.fds)} file descriptors`;
  return `select ${where}: one numbered ${FD_SETSIZE} or higher does not fit into an fd_set (FD_SETSIZE).`;
}
