// Traffic totals of a worker, and their sum over all workers.

import type { ServerStats } from "../server/types.ts";

/** The server stats that can be added up. */
export type Totals = Omit<ServerStats, "rejectedBy">;

export function zeroTotals(): Totals {
  return {
    accepted: 0,
    open: 0,
    requests: 0,
    bytesIn: 0,
    bytesOut: 0,
    timeouts: 0,
    rejected: 0,
    handshakes: 0,
    failedHandshakes: 0,
    errors: 0,
  };
}

const names = Object.keys(zeroTotals()) as (keyof Totals)[];

export function totalsOf(stats: Totals): Totals {
  return Object.fromEntries(names.map((name) => [name, stats[name]])) as Totals;
}

export function addTotals(all: Iterable<Totals>): Totals {
  const sum = zeroTotals();
  for (const totals of all) for (const name of names) sum[name] += totals[name];
  return sum;
}
