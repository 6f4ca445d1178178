// The metrics option, apart from what it does: the published types need no more.

import type { Labels } from "./prometheus.ts";

/** Where metrics are served, and the labels that each of them has. */
export interface MetricsOptions {
  /** The path, such as `"/metrics"`. */
  path: string;
  /** Names and values: `{ instance: "a" }`. */
  labels?: Labels | undefined;
}
