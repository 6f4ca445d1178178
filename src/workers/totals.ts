// What workers have done: counts that are added up, those of the ones that have ended included.

import type { ServerStats } from "../server/types.ts";

/** The part of a server's stats that a sum of has a meaning. */
export type Totals = Omit<ServerStats, "rejectedBy">;

export function zeroTotals(): Totals {
  return { accepted: 0, open: 0, requests: 0, bytesIn: 0, bytesOut: 0, timeouts: 0, rejected: 0, errors: 0 };
}

const names = Object.keys(zeroTotals()) as (keyof Totals)[];

export function totalsOf(stats: Totals): Totals {
  return Object.fromEntries(names.map((name) => [name, stats[name]])) as Totals;
}

export function addTotals(all: Iterable<Totals>): Totals {
  const total = zeroTotals();
  for (const counts of all) for (const name of names) total[name] += counts[name];
  return total;
}
