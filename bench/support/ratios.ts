// Ratios of EpollServer's cost to another server's, within each round, because both then ran under the same conditions.

import type { Result } from "../http.ts";
import { median } from "./numbers.ts";
import type { TargetRatio } from "./workloads.ts";

export interface Ratio {
  ratio: number;
  least: number;
  most: number;
}

/** Returns undefined if one of the servers wasn't measured. */
export function ratioOf({ ours, theirs, of }: TargetRatio, rows: Result["rows"]): Ratio | undefined {
  const [mine, other] = [ours, theirs].map((name) => rows.find((row) => row.name === name)?.rounds);
  if (mine === undefined || other === undefined) return undefined;
  const ratios = mine.map((figures, round) => figures[of] / (other[round]?.[of] ?? NaN));
  return { ratio: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}
