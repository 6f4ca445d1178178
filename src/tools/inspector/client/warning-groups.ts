// Warnings about the same cause, which the page shows as one: same code, fd and source line.

import type { Warning } from "../../debugger/sampler.ts";

export interface WarningGroup {
  /** The latest report. */
  warning: Warning;
  /** How often it has happened. */
  count: number;
  /** The source line, if it is known. */
  at: string | undefined;
}

/** Returns the groups, the one with the latest warning first. */
export function groupWarnings(warnings: readonly Warning[]): WarningGroup[] {
  const groups = new Map<string, WarningGroup>();
  /** The counts of the reports in each group, by the sequence number of the first event of a report. */
  const reports = new Map<string, Map<number, number>>();
  for (const warning of warnings) {
    const key = `${warning.code} ${warning.pid ?? ""} ${warning.fd} ${warning.at ?? ""}`;
    const counts = reports.get(key) ?? new Map<number, number>();
    reports.set(key, counts.set(warning.updates ?? warning.seq, warning.count ?? 1));
    groups.delete(key); // to add it at the end
    const count = counts.values().reduce((sum, one) => sum + one, 0);
    groups.set(key, { warning, count, at: warning.at });
  }
  return [...groups.values()].toReversed();
}
