// Messages between the page and its server: server-sent events, JSON responses and commands.

import type { Breakpoint, RunMode, SourceLocation } from "../debugger/thread-messages.ts";
import type { FdPage } from "./fd-query.ts";
import type { ConnectionEvents } from "../debugger/event-ring.ts";
import type { TimingsSummary } from "../debugger/loop-timings.ts";
import type { Sample } from "../debugger/sampler.ts";

/** The first message of an event stream. */
export interface Hello {
  kind: "hello";
  version: string;
  /** Whether the page may send commands: its token is the one for control. */
  canControl: boolean;
  /** The URL for viewing only, for links to events. */
  viewUrl: string;
  /** `live`: a running server. `saved`: a trace file, whose events are at /trace. */
  source: "live" | "saved";
  /** The server's URL, or the name of the trace file. */
  name: string;
  /** The process of the running server; 0 for a saved trace. */
  pid: number;
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
  /** Why the loop is paused, such as "Paused on breakpoint 1: accept"; undefined unless it is. */
  reason: string | undefined;
  /** The epoll instance or event loop in which the paused loop waits; undefined if it is paused after an event. */
  waitsIn: number | "bun" | undefined;
  /** Events per second in slow motion; 0: full speed. */
  speed: number;
  /** The breakpoints set in the page, and those set at the prompt of the terminal debugger. */
  breakpoints: ListedBreakpoint[];
  /** The error that ended the server, if one did. */
  error: string | undefined;
}

/** A breakpoint, as the page lists it. Only those of the terminal debugger can have conditions. */
export interface ListedBreakpoint extends Pick<Breakpoint, "id" | "on" | "value" | "hits" | "condition" | "isEnabled"> {
  /** Where it was set. The page can remove only its own. */
  owner: "page" | "prompt";
}

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

/** A command from a page that has the token for control. */
export type PageCommand =
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
  /** Its process; absent: the one that serves the page. */
  pid?: number;
  /** Why epoll reports the file descriptor, or why not. */
  why: string;
  facts: [name: string, value: string][];
}

/** An epoll instance, as the kernel sees it. */
export interface KernelInstance {
  /** Its process; absent: the one that serves the page. */
  pid?: number;
  epfd: number;
  /** The number of fds in the interest list. */
  interest: number;
  /** The number of fds in the interest list that are ready for a registered event. */
  ready: number;
  /** False if there are too many fds to poll all of them. */
  isReadyComplete: boolean;
  /** The first fds of the interest list, those that are ready before the others. `ready`: the events it is ready for; 0: none. */
  entries: { fd: number; mask: number; ready: number }[];
  /** Why the list cannot be read. */
  error: string | undefined;
}

/** The epoll instances of the loop. */
export interface KernelResponse {
  instances: KernelInstance[];
}

/** A window of the open fds that match a filter. */
export type FdsResponse = FdPage;

/** The events of one connection, oldest first. */
export type ConnectionResponse = ConnectionEvents;

/** The distribution of durations since the start. */
export type TimingsResponse = TimingsSummary;

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
