// What the detectors of warnings share: the registrations, the open fds, the kernel, and the log that they report to.

import type { CallSite } from "../caller-line.ts";
import type { KernelView } from "../kernel-view.ts";
import type { Registrations } from "../registrations.ts";
import type { FdActivities } from "./fd-activity.ts";
import type { WarningLog } from "./warning-log.ts";

export interface WarningContext {
  readonly registrations: Registrations;
  readonly fds: FdActivities;
  readonly log: WarningLog;
  /** For questions to the kernel. */
  readonly kernel: KernelView;
  /**
   * The events are observed some milliseconds after they have happened, as those of other processes are. The program may have gone on:
   * the kernel describes a later state.
   */
  readonly isLate: boolean;
  /** The time of the last event, in microseconds since the trace began. */
  nowUs: number;
  /** The call that is being observed, if call sites are recorded. */
  site: CallSite | undefined;
  iteration: number;
  /** The instance on which the program waits without a timeout; undefined if it waits with one, or in Bun's event loop. */
  waitsIn: number | undefined;
}
