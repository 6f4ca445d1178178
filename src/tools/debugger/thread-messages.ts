// Messages between the debugger and the thread that it debugs, and the types that they carry.

import type { Address } from "../../kernel/address.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import type { ServerStats } from "../../server/types.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { ConnectionEvents, ConnectionQuery } from "./event-ring.ts";
import type { BlockedWait } from "./interruptible-wait.ts";
import type { Sample } from "./sampler.ts";

/**
 * How far to run before the next pause. `next`: to the next wait; `step`: to the next event; `return`: to the end of the dispatch of
 * this fd. `count`: how many times, default 1; for `continue`: at which breakpoint hit to pause.
 */
export type RunMode =
  | { kind: "continue" | "step" | "next"; count?: number }
  | { kind: "return"; fd: number; pid?: number | undefined }
  | { kind: "until"; iteration: number };

/** A breakpoint: the loop pauses after an event that matches. */
export interface Breakpoint {
  id: number;
  on: "fd" | "pid" | "tid" | "mask" | "event" | "errno" | "iteration" | "state" | "line" | "watch";
  /**
   * The number of an fd, process, thread, iteration or errno; a mask; the name of an event type or state. `line`: `FILE:LINE`, where FILE is the end of
   * a path. `watch`: an expression; the loop pauses when its value has changed.
   */
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

/** Who controls the debugged thread: the prompt, or a page of the inspector. */
export type Controller = "prompt" | "page";

/** A function call of the debugged thread. */
export interface StackFrame {
  /** The name of the function; empty if it has none. */
  name: string;
  /** Relative to this package for its own files. */
  file: string;
  line: number;
}

/** Why the debugged thread has paused. */
export interface StopReason {
  /**
   * `blocked`: a step has reached an epoll_wait without a timeout, or Bun's event loop, and no fd is ready. `failed-condition`: the
   * condition of a breakpoint has thrown.
   */
  kind: "step" | "pause" | "breakpoint" | "failed-condition" | "watch" | "blocked" | "ended";
  /** The error of a condition; how a watched value has changed. */
  detail?: string | undefined;
  /**
   * What the thread waits for, if it has paused while it waits. Then no event has happened since `Stop.event`. `code`: the thread of
   * another process was paused in its own code, or in a call that is not traced.
   */
  waitsIn?: BlockedWait | "bun" | "code" | undefined;
}

/** A pause of the debugged thread, or its end. */
export interface Stop {
  /** The event after which it has paused, or the last event. */
  event: TraceEvent | undefined;
  /** The id of the breakpoint that was hit. */
  breakpoint: number | undefined;
  hasEnded: boolean;
  reason: StopReason;
  /** Who has resumed the thread or requested the pause, whichever was later. */
  by: Controller;
  /** The calls of the program that led here, the innermost first. */
  stack: readonly StackFrame[];
  /** Where it has paused, if that is not the position of the event. */
  position?: string | undefined;
  /** The thread of another process that has paused. */
  thread?: { pid: number; tid: number } | undefined;
}

/** What is debugged, and where it listens. */
export interface SourceLocation {
  /** The URL of a server, or the file of a program. */
  url: string;
  addresses: readonly Address[];
}

/** A process to debug, with the processes and threads that it creates. */
export interface ProcessSelection {
  /** A command to start, and its arguments; or the process to attach to. */
  target: { command: readonly string[] } | { pid: number };
  /** Also trace the processes and threads that it creates. */
  follows: boolean;
  /** A pause stops all threads. */
  stopsAll: boolean;
  /** Standard input and Ctrl-C are those of the prompt: the command gets neither. */
  hasPrompt?: boolean;
}

/** The first message to the thread that traces processes. */
export interface ProcessStartMessage extends Pick<
  StartMessage,
  "hasBytes" | "hasSecrets" | "isSampled" | "isPaused" | "shared" | "timings" | "wakeFd" | "commands"
> {
  process: ProcessSelection;
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
  /** The longest time that the server waits in epoll_wait; undefined: until an event arrives. */
  pollMs: number | undefined;
  /** Pause after the first event. */
  isPaused: boolean;
  /** Counters, see COMMAND_COUNT. */
  shared: SharedArrayBuffer;
  /** Memory for the timings of the loop, TIMINGS_BYTES; used only if the events are sampled. */
  timings: SharedArrayBuffer;
  /** An eventfd that is written to after each command, to interrupt epoll_wait. */
  wakeFd: number;
  /** A MessagePort that delivers commands. The thread takes them from it, whether it is paused, blocked or in Bun's event loop. */
  commands: unknown;
  /** A MessagePort that calls the thread in Bun's event loop when there is a command. */
  pokes: unknown;
}

/** Index in the shared memory: the number of commands sent. A paused thread waits for this number to change. */
export const COMMAND_COUNT = 0;
/** Index in the shared memory: the `seq` of the last event that the debugger has received. */
export const TAKEN_SEQ = 1;
/** Index in the shared memory: 1 if a message was posted to `pokes`, which the thread has not received yet. */
export const IS_POKED = 2;
export const SHARED_BYTES = 12;

export type ThreadCommand =
  | { kind: "go"; mode: RunMode }
  | { kind: "pause" }
  | { kind: "breakpoints"; breakpoints: Breakpoint[] }
  | { kind: "evaluate"; id: number; code: string }
  | { kind: "complete"; id: number; code: string }
  | { kind: "watched"; isWatched: boolean }
  | { kind: "connection"; id: number; query: ConnectionQuery }
  | { kind: "end" };

export type ThreadReport =
  /** `pid`: the process, if it is another one. */
  | { kind: "started"; location: SourceLocation; threadId: number; pid?: number }
  | { kind: "failed"; message: string; code: string | undefined }
  | { kind: "handler-error"; message: string }
  /** A program listens on an address. */
  | { kind: "listening"; address: Address }
  | { kind: "events"; events: TraceEvent[] }
  | { kind: "sample"; sample: Sample }
  | ({ kind: "paused"; counts: Pick<Breakpoint, "id" | "hits" | "ignore">[] } & Pick<
      Stop,
      "breakpoint" | "reason" | "stack" | "position" | "thread"
    >)
  /** Something that the user should know, such as a program that cannot be followed. */
  | { kind: "notice"; text: string }
  | { kind: "value"; id: number; text: string }
  /** A promise of an expression has settled after the expression was evaluated. */
  | { kind: "settled"; text: string }
  | { kind: "connection"; id: number; events: ConnectionEvents }
  /** `signal`: the one that ended the program. */
  | {
      kind: "ended";
      stats: ServerStats | undefined;
      error: string | undefined;
      exitCode: number | undefined;
      signal?: string | undefined;
    };
