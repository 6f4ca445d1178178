// What a trace consists of: one typed event for each thing that a loop did.

import type { Address } from "../kernel/address.ts";

/** The version of the form of events. It is raised when what reads them would have to change. */
export const TRACE_VERSION = 1;

/** What every event has. */
export interface TraceMoment {
  /** From 1, without a gap. */
  seq: number;
  /** When, µs after the trace began, without the time that listeners took; for a call: when it returned. */
  us: number;
  /** The number of the wait that it followed; 0 before the first. */
  iteration: number;
  /** The line of the program that made the call, as `src/server/run-loop.ts:247`; if that was asked for. */
  at?: string;
}

/** How a system call ended: 0 or more, or `-errno`. */
type Result = number;

/** The first event: what is traced, and in which form. */
export interface BeginEvent {
  type: "begin";
  version: typeof TRACE_VERSION;
  pid: number;
  /** ISO 8601. */
  date: string;
}

/** A socket that listens, as the loop found it. */
export interface ListenEvent {
  type: "listen";
  fd: number;
  address: Address;
}

/** epoll_create1(2); `result` is the descriptor. */
export interface CreateEvent {
  type: "create";
  result: Result;
}

/** epoll_wait(2) returned: an iteration begins. */
export interface WaitEvent {
  type: "wait";
  epfd: number;
  /** What was asked for; -1: for ever. */
  timeoutMs: number;
  maxEvents: number;
  result: Result;
  events: [fd: number, mask: number][];
  /** How long it blocked. */
  blockedUs: number;
  /** How long before that Bun's event loop had the thread, which waits there, or does something else; if the iterations are made on it. */
  awayUs?: number;
}

/** epoll_ctl(2). A mask that there is none of is `null`: the old one of ADD, the new one of DEL. */
export interface CtlEvent {
  type: "ctl";
  epfd: number;
  op: "ADD" | "MOD" | "DEL";
  fd: number;
  oldMask: number | null;
  mask: number | null;
  result: Result;
}

/** accept4(2) on the listening socket `fd`; `result` is the connection's descriptor. */
export interface AcceptEvent {
  type: "accept";
  fd: number;
  result: Result;
  peer: Address | null;
}

/** connect(2); of a socket that does not wait, EINPROGRESS is how it begins. */
export interface ConnectEvent {
  type: "connect";
  fd: number;
  address: Address;
  result: Result;
}

/** recv(2) or send(2). */
export interface TransferEvent {
  type: "recv" | "send";
  /** Another call that does as much. */
  call?: "read" | "recvfrom" | "recvmsg" | "write" | "sendto" | "sendmsg";
  fd: number;
  /** How many bytes there was room for, or to send. */
  wanted: number;
  result: Result;
  /** The first line of a request or a reply, if it begins with one: `GET / HTTP/1.1`. */
  line?: string;
  /** What was received or sent, a character for each byte; if that was asked for. */
  bytes?: string;
}

/** shutdown(2). */
export interface ShutdownEvent {
  type: "shutdown";
  fd: number;
  how: "RD" | "WR" | "RDWR";
  result: Result;
}

/** SO_LINGER was set so that closing resets the connection. */
export interface ResetEvent {
  type: "reset";
  fd: number;
  result: Result;
}

/** close(2). */
export interface CloseEvent {
  type: "close";
  fd: number;
  result: Result;
}

/** What a connection waits for is another thing now; `null`: there was none, or is none any more. */
export interface StateEvent {
  type: "state";
  fd: number;
  from: string | null;
  to: string | null;
}

/** Something that programs get wrong. */
export interface WarningEvent {
  type: "warning";
  code: WarningCode;
  /** Whose, if it is one descriptor's. */
  fd: number | null;
  message: string;
}

/**
 * All is done that the wait had brought, or that came before the first one: what follows is another wait; or, if the iterations are made on
 * Bun's event loop, what a handler does that goes on there by itself.
 */
export interface IterationEvent {
  type: "iteration";
  /** From the wait's return, or the beginning, to here. */
  workedUs: number;
  /** For which descriptor how long, in the order of their turns. */
  dispatches: [fd: number, us: number][];
}

export type WarningCode =
  | "busy-loop" // iterations without a wait and without progress
  | "undrained" // edge-triggered, and not read to its end
  | "idle-epollout" // EPOLLOUT is reported all the time, and nothing is sent
  | "slow-handler" // one descriptor's turn held up all others
  | "fd-leak"; // accepted, watched no more, and never closed

export type TraceDetail =
  | BeginEvent
  | ListenEvent
  | CreateEvent
  | WaitEvent
  | CtlEvent
  | AcceptEvent
  | ConnectEvent
  | TransferEvent
  | ShutdownEvent
  | ResetEvent
  | CloseEvent
  | StateEvent
  | WarningEvent
  | IterationEvent;

export type TraceEvent = TraceMoment & TraceDetail;

/** Called for each event, at once and in order: while it runs, the loop stands still. What it throws ends the iteration. */
export type TraceListener = (event: TraceEvent) => void;

export interface TraceOptions {
  listener: TraceListener;
  /** Have what is received and sent in the events. */
  bytes?: boolean | undefined;
  /** Have the line of the program in the events; a function is asked each time. A line takes some microseconds. */
  lines?: boolean | (() => boolean) | undefined;
  /** From how many milliseconds on a descriptor's turn is a slow one; 50 unless given. */
  slowMs?: number | undefined;
}
