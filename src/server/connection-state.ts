// The states of a connection and the transitions between them: the whole state machine, in one table.

import type { Phase } from "../protocols/protocol.ts";

/**
 * The state of a connection; docs/connection-states.md has a diagram.
 *
 * While a connection is open, its protocol moves it between the nine phases. `finish()` ends that:
 *
 * - `finishing`: sends what is queued, then shuts down.
 * - `finishing-no-linger`: the same, but the peer has announced that it sends nothing more, so the connection can be closed as
 *   soon as everything is sent, without lingering.
 * - `closing`: both directions are shut down; waits for EPOLLHUP.
 * - `lingering`: the send direction is shut down; discards input until the peer closes its side.
 * - `closed`: the fd is closed.
 */
export type ConnectionState = Phase | "finishing" | "finishing-no-linger" | "closing" | "lingering" | "closed";

/** The names of states in traces. `sending`: output waits for room in the send queue, in any state. */
export const TRACED_STATES = [
  "new",
  "head",
  "body",
  "handler",
  "streaming",
  "sending",
  "idle",
  "open",
  "pinged",
  "paused",
  "closing",
  "lingering",
] as const;

export type TracedState = (typeof TRACED_STATES)[number];

const openTransitions: readonly ConnectionState[] = [
  ...(["new", "head", "body", "handler", "streaming", "idle", "open", "pinged", "paused"] satisfies Phase[]),
  "finishing",
  "finishing-no-linger",
  "closed",
];

/** The states that may follow each state. Every state may be followed by `closed`: an error, a reset or a timeout. */
export const TRANSITIONS: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  new: openTransitions,
  head: openTransitions,
  body: openTransitions,
  handler: openTransitions,
  streaming: openTransitions,
  idle: openTransitions,
  open: openTransitions,
  pinged: openTransitions,
  paused: openTransitions,
  finishing: ["finishing-no-linger", "closing", "lingering", "closed"],
  "finishing-no-linger": ["finishing", "closing", "closed"],
  closing: ["closed"],
  lingering: ["closed"],
  closed: [],
};

/**
 * Checks a transition.
 *
 * @throws {Error} if the table does not have it: a bug in the server
 */
export function assertTransition(from: ConnectionState, to: ConnectionState): void {
  if (!TRANSITIONS[from].includes(to)) throw new Error(`a connection cannot go from ${from} to ${to}`);
}

/** Returns whether `finish` has not been called and the connection is not closed: its protocol decides what happens next. */
export function isOpen(state: ConnectionState): state is Phase {
  return TRANSITIONS[state] === openTransitions;
}

/** Returns whether nothing more can be sent. */
export function isShutDown(state: ConnectionState): boolean {
  return state === "closing" || state === "lingering" || state === "closed";
}

/** Returns the state as traces show it; undefined for `closed`. */
export function tracedState(state: ConnectionState, hasOutput: boolean): TracedState | undefined {
  if (state === "closed") return undefined;
  if (hasOutput) return "sending";
  return state === "finishing" || state === "finishing-no-linger" ? "closing" : state;
}
