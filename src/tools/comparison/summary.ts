// What the figures say, in sentences: who is the fastest among few, where epoll overtakes, what it comes to among many.

import { FD_SETSIZE } from "./fd-set.ts";
import type { Step } from "./measure.ts";

type Elder = "select" | "poll";

export interface Crossover {
  /** The fewest descriptors from which on epoll was faster at each step; `null`: at the last it was not. */
  readonly select: number | null;
  readonly poll: number | null;
}

export function crossover(steps: readonly Step[]): Crossover {
  return { select: crossing(steps, "select"), poll: crossing(steps, "poll") };
}

/** Sentences for people, each derived from the figures alone. */
export function summarize(steps: readonly Step[]): string[] {
  const [first] = steps;
  const last = steps.at(-1);
  if (first === undefined || last === undefined) return [];
  return [
    among(first),
    ...(steps.length > 1 ? [overtaking(steps), among(last), growth(first, last)] : []),
    ...(last.select === null ? [wall(steps)] : []),
  ];
}

/** `574 ns`, `1.92 µs`, `12.8 ms`: three digits. */
export function formatTime(ns: number): string {
  // What rounds up to a thousand is one of the next unit.
  if (ns < 999.5) return `${threeDigits(ns)} ns`;
  if (ns < 999_500) return `${threeDigits(ns / 1e3)} µs`;
  return ns < 999_500_000 ? `${threeDigits(ns / 1e6)} ms` : `${threeDigits(ns / 1e9)} s`;
}

/** `19,900` */
export function formatCount(n: number): string {
  return n.toLocaleString("en-US");
}

/** How many times as long: `1.02`, `3.1`, `22,400`. */
export function formatRatio(ratio: number): string {
  if (ratio < 1.095) return ratio.toFixed(2); // there, a tenth is the difference between faster and slower
  if (ratio < 99.95) return ratio.toFixed(1);
  return formatCount(Number(ratio.toPrecision(3)));
}

function threeDigits(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

function crossing(steps: readonly Step[], elder: Elder): number | null {
  let from: number | null = null;
  for (const { descriptors, epoll, ...times } of steps) {
    const time = times[elder];
    if (time === null) break;
    if (epoll >= time) from = null;
    else from ??= descriptors;
  }
  return from;
}

function among({ descriptors, select, poll, epoll }: Step): string {
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
  return `Among ${formatCount(descriptors)}, ${fastest.name} is the fastest (${formatTime(fastest.time)}): ${slower.join(", ")}.`;
}

function overtaking(steps: readonly Step[]): string {
  const at = crossover(steps);
  const least = steps[0]?.descriptors;
  const describe = (elder: Elder): string => {
    if (at[elder] === null) return `not faster than ${elder} at the last step where both are`;
    return at[elder] === least
      ? `faster than ${elder} from the start`
      : `faster than ${elder} from ${formatCount(at[elder])} on`;
  };
  return at.select === at.poll && at.poll === least
    ? "epoll_wait is faster than both at every step: there is no crossover."
    : `epoll_wait is ${describe("select")}, and ${describe("poll")}.`;
}

function growth(first: Step, last: Step): string {
  const by = formatCount(Math.round(last.descriptors / first.descriptors));
  const grown = (name: string, ratio: number): string => `${name}'s time is ${formatRatio(ratio)} times what it was`;
  return `With ${by} times the descriptors, ${grown("poll", last.poll / first.poll)}, ${grown("epoll_wait", last.epoll / first.epoll)}.`;
}

function wall(steps: readonly Step[]): string {
  const end = steps.findLast(({ select }) => select !== null);
  const where = end === undefined ? "has no step at all" : `ends after ${formatCount(end.descriptors)}`;
  return `select ${where}: a descriptor whose number is ${FD_SETSIZE} or higher does not fit into its fd_set (FD_SETSIZE).`;
}
