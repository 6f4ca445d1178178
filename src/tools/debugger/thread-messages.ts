// What the debugger's thread and the server's thread say to each other, and what a stop is.

import type { Address } from "../../kernel/address.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import type { ServerStats } from "../../server/types.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { Sample } from "./sampler.ts";

/** How far to go. `return`: until the turn of this descriptor is over. */
export type RunMode =
  | { kind: "continue" | "step" | "next" }
  | { kind: "return"; fd: number }
  | { kind: "until"; iteration: number };

/** Where to stop: at an event that matches, if the condition holds. */
export interface Breakpoint {
  id: number;
  on: "fd" | "mask" | "event" | "errno" | "iteration" | "state";
  /** The number of a descriptor, an iteration, an errno or a mask; the name of an event or a state. */
  value: number | string;
  /** An expression that has to be true. */
  condition: string | undefined;
  isTemporary: boolean;
  isEnabled: boolean;
  /** So many times it is passed over. */
  ignore: number;
  /** How often it has matched. */
  hits: number;
}

/** The loop stands still behind an event; or it has ended. */
export interface Stop {
  event: TraceEvent | undefined;
  /** The breakpoint that did it. */
  breakpoint: number | undefined;
  hasEnded: boolean;
}

/** Where a server listens. */
export interface SourceLocation {
  url: string;
  addresses: readonly Address[];
}

/** To the server's thread, as its first message. */
export interface Begin {
  options: EpollServerOptions;
  /** The file of the application that is served. */
  defaultAddress: Pick<EpollServerOptions, "hostname" | "port">;
  app: string | undefined;
  /** Nothing is served: a program runs, with its arguments, and each of its system calls is told of. */
  program: readonly string[] | undefined;
  bytes: boolean;
  /** Tell samples, and not every event. */
  isSampled: boolean;
  pollMs: number;
  isStopped: boolean;
  shared: SharedArrayBuffer;
  orders: unknown; // a MessagePort
}

/** In the shared memory, as 32-bit numbers: how many orders were given, and the last event that was taken. */
export const ORDERS = 0;
export const TAKEN = 1;
export const SHARED_BYTES = 8;

export type ThreadCommand =
  | { kind: "go"; mode: RunMode }
  | { kind: "pause" }
  | { kind: "breakpoints"; breakpoints: Breakpoint[] }
  | { kind: "evaluate"; id: number; expression: string }
  | { kind: "watched"; isWatched: boolean }
  | { kind: "end" };

export type ThreadReport =
  | { kind: "listening"; place: SourceLocation }
  | { kind: "failed"; message: string; code: string | undefined }
  | { kind: "trouble"; message: string }
  /** A program listens. */
  | { kind: "place"; address: Address }
  | { kind: "events"; events: TraceEvent[] }
  | { kind: "sample"; sample: Sample }
  | { kind: "stopped"; breakpoint: number | undefined; counts: Pick<Breakpoint, "id" | "hits" | "ignore">[] }
  | { kind: "value"; id: number; text: string }
  | { kind: "ended"; stats: ServerStats | undefined; error: string | undefined };
