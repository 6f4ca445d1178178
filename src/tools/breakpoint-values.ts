// The event types and connection states that a breakpoint can name, for the debugger and the inspector.

import { TRACED_STATES } from "../server/connection-state.ts";
import type { TraceEvent } from "../trace/events.ts";

export const EVENT_TYPES: readonly TraceEvent["type"][] = [
  "accept",
  "bind",
  "call",
  "close",
  "connect",
  "create",
  "ctl",
  "frame",
  "listen",
  "open",
  "option",
  "process",
  "recv",
  "reset",
  "send",
  "shutdown",
  "state",
  "wait",
  "warning",
];

/** The states of a connection, as `state` events name them. */
export const CONNECTION_STATES: readonly string[] = TRACED_STATES;
