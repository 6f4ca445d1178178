// Our cost divided by another's, round by round: both had to themselves the same minute.

import type { Result } from "../http.ts";
import { median } from "./numbers.ts";
import type { Promised } from "./works.ts";

export interface Ratio {
  ratio: number;
  least: number;
  most: number;
}

/** undefined: one of them was not measured. */
export function ratioOf({ ours, theirs, of }: Promised, rows: Result["rows"]): Ratio | undefined {
  const [mine, other] = [ours, theirs].map((name) => rows.find((row) => row.name === name)?.rounds);
  if (mine === undefined || other === undefined) return undefined;
  const ratios = mine.map((figures, round) => figures[of] / (other[round]?.[of] ?? NaN));
  return { ratio: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}
