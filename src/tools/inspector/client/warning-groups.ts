// Warnings about the same cause, which the page shows as one: same code, fd and source line.

import type { Warning } from "../../debugger/sampler.ts";

export interface WarningGroup {
  /** The latest warning. */
  warning: Warning;
  /** How often the cause was reported. */
  count: number;
  /** The source line, if it is known. */
  at: string | undefined;
}

/** Returns the groups, the one with the latest warning first. */
export function groupWarnings(warnings: readonly Warning[]): WarningGroup[] {
  const groups = new Map<string, WarningGroup>();
  for (const warning of warnings) {
    const key = `${warning.code} ${warning.fd} ${warning.at ?? ""}`;
    const count = countOf(warning) ?? (groups.get(key)?.count ?? 0) + 1;
    groups.delete(key); // to add it at the end
    groups.set(key, { warning, count, at: warning.at });
  }
  return [...groups.values()].toReversed();
}

/** Returns how often the condition has occurred, if the warning says so. */
function countOf(warning: Warning & { count?: unknown }): number | undefined {
  return typeof warning.count === "number" ? warning.count : undefined;
}
