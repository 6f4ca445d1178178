// A system call of another process, decoded: what a source of calls reports, before it becomes an event of a trace.

import type { TraceDetail } from "../events.ts";

export interface DecodedCall {
  pid: number;
  tid: number;
  /** When the call began and returned, in milliseconds as of performance.now(). */
  startMs: number;
  endMs: number;
  /** The event, without what the tracer adds: the old mask of a ctl is `null`. */
  detail: TraceDetail;
  /** The data of a transfer, at least its beginning. */
  data?: Uint8Array | undefined;
  /** The data of a read ends with an empty line. */
  endsWithBlankLine?: boolean | undefined;
  /** The thread is stopped after the call, until the source resumes it. */
  isHeld?: boolean | undefined;
  /** Returns where the program made the call. It may be called until the thread continues. */
  locate?: (() => string | undefined) | undefined;
}
