// What workers have done: counts that are added up, those of the ones that have ended included.

import type { ServerStats } from "../server/server.ts";

/** The part of a server's stats that a sum of has a meaning. */
export type Counts = Omit<ServerStats, "refusedBy">;

export function noCounts(): Counts {
  return { accepted: 0, open: 0, requests: 0, bytesIn: 0, bytesOut: 0, timeouts: 0, refused: 0, broken: 0 };
}

const names = Object.keys(noCounts()) as (keyof Counts)[];

export function countsOf(stats: Counts): Counts {
  return Object.fromEntries(names.map((name) => [name, stats[name]])) as Counts;
}

export function sum(all: Iterable<Counts>): Counts {
  const total = noCounts();
  for (const counts of all) for (const name of names) total[name] += counts[name];
  return total;
}
