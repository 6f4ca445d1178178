// The types of trace events: one event for each system call of a loop, each state change and each warning.

import type { Address } from "../kernel/address.ts";

/** The version of the trace format. It is incremented when an incompatible change is made. */
export const TRACE_VERSION = 2;

/** The fields that every event has. */
export interface TraceMoment {
  /** The number of the event, from 1; without gaps, except for a `dropped` event. */
  seq: number;
  /**
   * When the event happened, in microseconds since the trace began. For a system call: when it returned. The time spent in the
   * listener is not included.
   */
  us: number;
  /**
   * The number of the loop iteration, that is, of the last wait; 0 before the first. In a trace of several threads, each wait has the
   * next number, and the other events have the number of their thread's last wait.
   */
  iteration: number;
  /**
   * The source line that made the call, such as `src/server/run-loop.ts:247`. In a trace of another process without a source line: the
   * return address, such as `epoll_wait+0x5e in libc.so.6`. Only with the option `lines`.
   */
  at?: string;
  /** The process that made the call. Only in traces of other processes: they may follow several. */
  pid?: number;
  /** The thread that made the call. Only in traces of other processes. */
  tid?: number;
  /** How long the call took, in microseconds. Only in traces of other processes; a wait has `blockedUs`. */
  tookUs?: number;
}

/** The result of a system call: 0 or more, or `-errno`. */
type Result = number;

/** The first event of a trace. */
export interface BeginEvent {
  type: "begin";
  /** The version of the trace format. */
  version: typeof TRACE_VERSION;
  /** The process that is traced. */
  pid: number;
  /** When the trace began, in ISO 8601. */
  date: string;
  /** The file of the program: the readers of a saved trace show source lines only from its directory and from this package. */
  program?: string;
}

/** A listening socket. A server's listening sockets are reported once, when the trace begins. */
export interface ListenEvent {
  type: "listen";
  fd: number;
  address: Address;
  /** The maximum length of the accept queue that was asked for. Only in traces of other processes. */
  backlog?: number;
  /** If the call failed: `-errno`. */
  result?: Result;
}

/** epoll_create1(2). */
export interface CreateEvent {
  type: "create";
  /** The system call, if it is the older one. */
  call?: "epoll_create";
  /** The fd of the epoll instance, or `-errno`. */
  result: Result;
}

/** The system calls that wait for several fds, other than epoll_wait(2). */
export type WaitCall = "epoll_pwait" | "epoll_pwait2" | "poll" | "ppoll" | "select" | "pselect6" | "io_uring_enter";

/** epoll_wait(2), or another call that waits for several fds, returned, which begins an iteration. */
export interface WaitEvent {
  type: "wait";
  /** The system call, if it is not epoll_wait. Only in traces of other processes. */
  call?: WaitCall;
  /** The epoll instance; -1 for a call that has none, such as poll(2). */
  epfd: number;
  /** The timeout; -1 waits indefinitely. */
  timeoutMs: number;
  maxEvents: number;
  /** The number of ready fds, or `-errno`. */
  result: Result;
  /** The ready list. */
  events: [fd: number, mask: number][];
  /** The fds that were passed to poll(2) or select(2), with the requested events. A select that reads has EPOLLIN, one that writes EPOLLOUT. */
  watched?: [fd: number, mask: number][];
  /** How long the call took. It has blocked if this is more than the few microseconds of a call that returns immediately. */
  blockedUs: number;
  /** The time spent in Bun's event loop before the call. Only if the loop runs on Bun's event loop. */
  awayUs?: number;
}

/** epoll_ctl(2). */
export interface CtlEvent {
  type: "ctl";
  epfd: number;
  op: "ADD" | "MOD" | "DEL";
  fd: number;
  /** The mask that was registered before; `null` if there was none. */
  oldMask: number | null;
  /** The new mask; `null` for DEL. */
  mask: number | null;
  result: Result;
}

/** accept4(2). */
export interface AcceptEvent {
  type: "accept";
  /** The system call, if it is the older one. */
  call?: "accept";
  /** The listening socket. */
  fd: number;
  /** The fd of the accepted connection, or `-errno`. */
  result: Result;
  /** The address of the client; `null` if the call failed. */
  peer: Address | null;
}

/** connect(2). On a non-blocking socket it usually fails with EINPROGRESS, and the connection is established later. */
export interface ConnectEvent {
  type: "connect";
  fd: number;
  address: Address;
  result: Result;
}

/** The system calls that read, other than recv(2). */
export type ReceiveCall =
  | "read"
  | "readv"
  | "pread64"
  | "preadv"
  | "preadv2"
  | "recvfrom"
  | "recvmsg"
  | "recvmmsg"
  | "splice";

/** The system calls that write, other than send(2). */
export type SendCall =
  | "write"
  | "writev"
  | "pwrite64"
  | "pwritev"
  | "pwritev2"
  | "sendto"
  | "sendmsg"
  | "sendmmsg"
  | "splice"
  | "sendfile";

/** recv(2), send(2) or another system call that reads or writes. */
export interface TransferEvent {
  type: "recv" | "send";
  /** The system call, if it is not the one that `type` names. */
  call?: ReceiveCall | SendCall;
  fd: number;
  /** The number of bytes that the caller asked to read or write. */
  wanted: number;
  /** The number of bytes read or written, or `-errno`. */
  result: Result;
  /** The start line, such as `GET / HTTP/1.1`, if the data begins with an HTTP request or response. */
  line?: string;
  /** The data, one character for each byte. Only with the option `bytes`. */
  bytes?: string;
}

/** shutdown(2). */
export interface ShutdownEvent {
  type: "shutdown";
  fd: number;
  how: "RD" | "WR" | "RDWR";
  result: Result;
}

/** setsockopt(2) set SO_LINGER, so that close(2) resets the connection. */
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

/** A connection of EpollServer changed its state. */
export interface StateEvent {
  type: "state";
  fd: number;
  /** The state before; `null` for a new connection. */
  from: string | null;
  /** The state now; `null` for a closed connection. */
  to: string | null;
}

/** A WebSocket frame of EpollServer, received completely or queued to be sent. */
export interface FrameEvent {
  type: "frame";
  fd: number;
  /** Whether it was received or is sent. */
  direction: "in" | "out";
  /** 0: continuation, 1: text, 2: binary, 8: close, 9: ping, 10: pong. RFC 6455, 5.2. */
  opcode: number;
  /** It is the last frame of its message. */
  fin: boolean;
  /** The length of its content in bytes, as transmitted. */
  length: number;
  /** The content is compressed (permessage-deflate). */
  compressed: boolean;
}

/**
 * A likely bug in the traced program, reported once for each registration or fd. When it has happened 10, 100, 1000, … times, and at
 * the end of the trace, an event with `updates` follows. `at` is the line of the program: of the call that is wrong, or if a call
 * is missing, of the one that registered, accepted or closed the fd.
 */
export interface WarningEvent {
  type: "warning";
  code: WarningCode;
  /** The fd that the warning is about; `null` if it is not about one fd. */
  fd: number | null;
  message: string;
  /** The epoll instance, if the warning is about a registration. */
  epfd?: number;
  /** How often it has happened so far. */
  count?: number;
  /** The `seq` of the event with which it was detected. */
  cause?: number;
  /** The `seq` of the first report of the same bug, whose count this event replaces. */
  updates?: number;
  /** The number of fds with the same bug at the same line, if most of them are not reported one by one. */
  fds?: number;
}

/** A call that returned a new fd, or an fd that was open before the trace began. Only in traces of other processes. */
export interface OpenEvent {
  type: "open";
  /** The system call, such as `socket` or `timerfd_create`. `inherited`: the fd was found open in /proc. */
  call: string;
  /** The fd, or `-errno`. */
  result: Result;
  /** What kind of file it is, as far as it is known. */
  kind?: "epoll" | "listener" | "connection" | "datagram" | "other";
  /** The kernel's name for the open file, such as `socket:[4711]`, `anon_inode:[eventfd]` or a path. */
  file?: string;
  /** The fd that was duplicated. */
  from?: number;
  /** The local address of a listener, or the peer of a connection. */
  address?: Address;
  /** The interest list of an epoll instance that was open before the trace began: fds and masks. */
  interest?: [fd: number, mask: number][];
}

/** bind(2). Only in traces of other processes. */
export interface BindEvent {
  type: "bind";
  fd: number;
  address: Address;
  result: Result;
}

/** A call that changed how an fd behaves: setsockopt(2), fcntl(2) or ioctl(2). Only in traces of other processes. */
export interface OptionEvent {
  type: "option";
  call: "setsockopt" | "fcntl" | "ioctl";
  fd: number;
  /** The name of the option, such as `SO_REUSEADDR` or `O_NONBLOCK`. */
  name: string;
  /** Its new value, if it is an integer. */
  value?: number;
  result: Result;
}

/** Another system call that is reported by name, such as io_uring_enter(2). Only in traces of other processes. */
export interface CallEvent {
  type: "call";
  call: string;
  fd?: number;
  result: Result;
  /** What the trace cannot show. */
  note?: string;
}

/** A process or thread began or ended. Only in traces of other processes. */
export interface ProcessEvent {
  type: "process";
  /**
   * `start`: the command was started. `attach`: the process was running. `fork`: it created the process `child`, which has the same
   * fds. `thread`: it created the thread `child`. `exec`: it runs another program. `exit`: it ended. `thread-exit`: only this thread
   * ended. `detach`: it goes on, and is no longer traced.
   */
  what: "start" | "attach" | "fork" | "thread" | "exec" | "exit" | "thread-exit" | "detach";
  /** The pid of a new process, or the tid of a new thread. */
  child?: number;
  /** The command line, or the path of the program. */
  command?: string;
  exitCode?: number;
  /** The signal that ended the process, such as `SIGSEGV`. */
  signal?: string;
}

/**
 * The end of an iteration: the program calls epoll_wait again, or returns to Bun's event loop. One such event precedes the first wait
 * and covers the program's setup.
 */
export interface IterationEvent {
  type: "iteration";
  /** The time from the return of epoll_wait, or from the beginning of the trace, to the end of the iteration. */
  workedUs: number;
  /**
   * The time spent on each fd, in the order of the dispatches, including the program's own code before the first call. Empty before
   * the first wait, which dispatches nothing.
   */
  dispatches: [fd: number, us: number][];
}

/** Events that are not in a saved trace, because its size is limited. The event has the `seq` of the last one of them. */
export interface DroppedEvent {
  type: "dropped";
  /** The number of events. */
  events: number;
}

/** What a warning is about. */
export type WarningCode =
  | "busy-loop" // an fd is ready, is reported again and again, and is never read
  | "undrained" // an edge-triggered fd was not read until EAGAIN, and the rest is not reported again
  | "eof-ignored" // recv returns 0 again and again: the peer has closed its side, and the connection is not closed
  | "accept-failed" // accept4 fails again and again, because no file descriptor is free
  | "listener-unwatched" // connections wait to be accepted, but the listening socket is not watched anymore
  | "backlog-full" // the accept queue is full, and the kernel drops new connections
  | "hangup-ignored" // EPOLLHUP or EPOLLERR is reported again and again, and nothing is done
  | "never-registered" // a connection was accepted, and nothing was done with it
  | "closed-while-registered" // an fd was closed before it was unregistered; epoll(7), questions 6 and 7
  | "idle-epollout" // EPOLLOUT is reported again and again, but nothing is sent
  | "slow-handler" // handling one fd delayed all others
  | "fd-leak" // a connection was unregistered, but not closed
  | "no-reply"; // a request was received, nothing was sent for a long time, and the program waits for nothing but its clients

/** An event without the fields that all events have. */
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
  | FrameEvent
  | WarningEvent
  | IterationEvent
  | OpenEvent
  | BindEvent
  | OptionEvent
  | CallEvent
  | ProcessEvent
  | DroppedEvent;

/** One event of a trace. */
export type TraceEvent = TraceMoment & TraceDetail;

/**
 * Called synchronously for every event, in order: the loop continues when it returns. If it throws, the error is rethrown before the
 * next wait.
 */
export type TraceListener = (event: TraceEvent) => void;

/** Options of a trace. */
export interface TraceOptions {
  /** Called for every event. */
  listener: TraceListener;
  /** Include received and sent data in the events; default: false. */
  bytes?: boolean | undefined;
  /**
   * Include the values of credentials: of headers such as `Authorization` and `Cookie`, and of parameters such as `token`. By default,
   * `<redacted 20 bytes>` replaces them.
   */
  secrets?: boolean | undefined;
  /** The file of the program, for the `begin` event; default: the main module. */
  program?: string | undefined;
  /** Include the source line of each call, which takes a few microseconds; a function decides for each event. Default: false. */
  lines?: boolean | (() => boolean) | undefined;
  /**
   * The threshold of the `slow-handler` warning: the time that the thread ran or blocked while it handled one fd, in milliseconds.
   * Time in which it waited for a CPU does not count. Default: 50.
   */
  slowMs?: number | undefined;
}
