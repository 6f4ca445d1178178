// What the page and its server say to each other.

import type { Breakpoint, RunMode, SourceLocation } from "../debugger/thread-messages.ts";
import type { Sample } from "../debugger/sampler.ts";

/** The first thing that a page hears. */
export interface Hello {
  kind: "hello";
  version: string;
  /** `live`: a server that runs. `saved`: a trace from a file, whose events are at /trace. */
  source: "live" | "saved";
  /** Of a live one where it listens, of a saved one its file. */
  name: string;
  /** Epoch milliseconds when the trace began. */
  begunMs: number;
  place: SourceLocation | undefined;
  /** The names of this machine's errors. */
  errnos: [errno: number, name: string][];
  state: LoopState;
  tries: TestClientState[];
  /** What was told lately. */
  samples: Sample[];
}

export interface LoopState {
  kind: "state";
  run: "running" | "pausing" | "stopped" | "ended";
  /** The event that it stands behind. */
  seq: number | undefined;
  /** The page's own breakpoint that it stopped at, or another's. */
  breakpoint: number | undefined;
  /** Events for each second in slow motion; 0: as fast as it goes. */
  speed: number;
  /** The page's. */
  breakpoints: PageBreakpoint[];
  /** What ended it, if that was an error. */
  error: string | undefined;
}

/** Without a condition: expressions are for the terminal only. */
export type PageBreakpoint = Pick<Breakpoint, "id" | "on" | "value" | "hits">;

/** A client of a bad kind, or of a good one. */
export interface TestClientState {
  id: number;
  kind: TestClientKind;
  isOpen: boolean;
  /** Its own address, by which the server knows it. */
  address: string;
  /** What has happened to it, a sentence each. */
  log: string[];
}

export const TEST_CLIENT_KINDS = [
  "request",
  "pipeline",
  "silent",
  "half-head",
  "drip",
  "half-close",
  "leave",
  "reset",
  "garbage",
  "endless",
  "never-reads",
  "crowd",
] as const;

export type TestClientKind = (typeof TEST_CLIENT_KINDS)[number];

export type Message =
  | Hello
  | LoopState
  | { kind: "sample"; sample: Sample }
  | { kind: "tries"; tries: TestClientState[] };

/** From the page, with the token. */
export type PageCommand =
  | { kind: "check" }
  | { kind: "go"; mode: RunMode }
  | { kind: "pause" }
  | { kind: "speed"; perSecond: number }
  | { kind: "break"; on: Breakpoint["on"]; value: number | string }
  | { kind: "clear"; id: number }
  | { kind: "try"; try: TestClientKind }
  | { kind: "end-try"; id: number };

/** One descriptor, looked at; null: the loop has none of this number now. */
export interface FdInfoResponse {
  fd: number;
  /** Why epoll reports it, or does not. */
  why: string;
  facts: [name: string, value: string][];
}

/** Where our interest list is not the kernel's. */
export interface DifferencesResponse {
  messages: string[];
  watched: number;
}

/** Some lines of the program, the first of which has this number. */
export interface SourceResponse {
  file: string;
  first: number;
  line: number;
  lines: string[];
}
