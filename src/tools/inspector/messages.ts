// Messages between the page and its server: server-sent events, JSON responses and commands.

import type { Breakpoint, RunMode, SourceLocation } from "../debugger/thread-messages.ts";
import type { Sample } from "../debugger/sampler.ts";

/** The first message of an event stream. */
export interface Hello {
  kind: "hello";
  version: string;
  /** `live`: a running server. `saved`: a trace file, whose events are at /trace. */
  source: "live" | "saved";
  /** The server's URL, or the name of the trace file. */
  name: string;
  /** When the trace started, in milliseconds since the epoch. */
  startedMs: number;
  location: SourceLocation | undefined;
  /** The errno names of this machine's architecture. */
  errnos: [errno: number, name: string][];
  state: LoopState;
  testClients: TestClientState[];
  /** Recent samples, oldest first. */
  samples: Sample[];
}

export interface LoopState {
  kind: "state";
  run: "running" | "pausing" | "paused" | "ended";
  /** The event after which the loop is paused. */
  seq: number | undefined;
  /** The breakpoint that was hit. It may belong to the terminal debugger. */
  breakpoint: number | undefined;
  /** Events per second in slow motion; 0: full speed. */
  speed: number;
  /** The breakpoints set in the page. */
  breakpoints: PageBreakpoint[];
  /** The error that ended the server, if one did. */
  error: string | undefined;
}

/** A breakpoint without a condition: only the terminal debugger evaluates expressions. */
export type PageBreakpoint = Pick<Breakpoint, "id" | "on" | "value" | "hits">;

/** A test client, or a group of them started together. */
export interface TestClientState {
  id: number;
  kind: TestClientKind;
  isOpen: boolean;
  /** The client's own address, which the server sees as the peer address. */
  address: string;
  /** What happened to the client, one sentence per entry. */
  log: string[];
}

export const TEST_CLIENT_KINDS = [
  "request",
  "pipeline",
  "silent",
  "partial-head",
  "drip",
  "half-close",
  "disconnect",
  "reset",
  "garbage",
  "endless-head",
  "never-reads",
  "burst",
] as const;

export type TestClientKind = (typeof TEST_CLIENT_KINDS)[number];

/** A server-sent event. */
export type Message =
  | Hello
  | LoopState
  | { kind: "sample"; sample: Sample }
  | { kind: "test-clients"; testClients: TestClientState[] };

/** A command from a page that has the token. `check-token` has no effect. */
export type PageCommand =
  | { kind: "check-token" }
  | { kind: "resume"; mode: RunMode }
  | { kind: "pause" }
  | { kind: "set-speed"; perSecond: number }
  | { kind: "add-breakpoint"; on: Breakpoint["on"]; value: number | string }
  | { kind: "remove-breakpoint"; id: number }
  | { kind: "start-client"; client: TestClientKind }
  | { kind: "close-client"; id: number };

/** What /proc and getsockopt(2) report about a file descriptor. The response is null if it does not belong to the loop. */
export interface FdInfoResponse {
  fd: number;
  /** Why epoll reports the file descriptor, or why not. */
  why: string;
  facts: [name: string, value: string][];
}

/** The differences between the registered masks and the kernel's interest list. */
export interface InterestDiffResponse {
  messages: string[];
  /** The number of registered file descriptors. */
  registered: number;
}

/** Source lines around the line that made a call. */
export interface SourceResponse {
  file: string;
  /** The number of the first line in `lines`. */
  first: number;
  line: number;
  lines: string[];
}
