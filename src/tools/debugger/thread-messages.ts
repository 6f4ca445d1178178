// Messages between the debugger and the thread that it debugs, and the types that they carry.

import type { Address } from "../../kernel/address.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import type { ServerStats } from "../../server/types.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { Sample } from "./sampler.ts";

/** How far to run before the next pause. `next`: to the next wait; `step`: to the next event; `return`: to the end of the dispatch of this fd. */
export type RunMode =
  | { kind: "continue" | "step" | "next" }
  | { kind: "return"; fd: number }
  | { kind: "until"; iteration: number };

/** A breakpoint: the loop pauses after an event that matches. */
export interface Breakpoint {
  id: number;
  on: "fd" | "mask" | "event" | "errno" | "iteration" | "state";
  /** The number of an fd, iteration or errno; a mask; the name of an event type or state. */
  value: number | string;
  /** An expression that has to be true as well. */
  condition: string | undefined;
  /** Deleted when it is hit. */
  isTemporary: boolean;
  isEnabled: boolean;
  /** The number of hits still to ignore. */
  ignore: number;
  /** The number of hits. */
  hits: number;
}

/** A pause of the debugged thread, or its end. */
export interface Stop {
  /** The event after which it has paused, or the last event. */
  event: TraceEvent | undefined;
  /** The id of the breakpoint that was hit. */
  breakpoint: number | undefined;
  hasEnded: boolean;
}

/** What is debugged, and where it listens. */
export interface SourceLocation {
  /** The URL of a server, or the file of a program. */
  url: string;
  addresses: readonly Address[];
}

/** The first message to the debugged thread. */
export interface StartMessage {
  options: EpollServerOptions;
  /** Where to listen if neither the options nor the application have an address. */
  defaultAddress: Pick<EpollServerOptions, "hostname" | "port">;
  /** The file of the application to serve. */
  app: string | undefined;
  /** The file of a program to run instead of a server, and its arguments. */
  program: readonly string[] | undefined;
  /** Include received and sent data in the events. */
  hasBytes: boolean;
  /** Include the values of credentials. */
  hasSecrets: boolean;
  /** Report samples instead of every event. */
  isSampled: boolean;
  /** The longest time that epoll_wait may block. */
  pollMs: number;
  /** Pause after the first event. */
  isPaused: boolean;
  /** Two counters, see COMMAND_COUNT and TAKEN_SEQ. */
  shared: SharedArrayBuffer;
  /** A MessagePort that delivers commands. */
  commands: unknown;
}

/** Index in the shared memory: the number of commands sent. A paused thread waits for this number to change. */
export const COMMAND_COUNT = 0;
/** Index in the shared memory: the `seq` of the last event that the debugger has received. */
export const TAKEN_SEQ = 1;
export const SHARED_BYTES = 8;

export type ThreadCommand =
  | { kind: "go"; mode: RunMode }
  | { kind: "pause" }
  | { kind: "breakpoints"; breakpoints: Breakpoint[] }
  | { kind: "evaluate"; id: number; expression: string }
  | { kind: "watched"; isWatched: boolean }
  | { kind: "end" };

export type ThreadReport =
  | { kind: "started"; location: SourceLocation }
  | { kind: "failed"; message: string; code: string | undefined }
  | { kind: "handler-error"; message: string }
  /** A program listens on an address. */
  | { kind: "listening"; address: Address }
  | { kind: "events"; events: TraceEvent[] }
  | { kind: "sample"; sample: Sample }
  | { kind: "paused"; breakpoint: number | undefined; counts: Pick<Breakpoint, "id" | "hits" | "ignore">[] }
  | { kind: "value"; id: number; text: string }
  | { kind: "ended"; stats: ServerStats | undefined; error: string | undefined };
