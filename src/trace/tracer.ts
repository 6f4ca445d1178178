// class Tracer: stands between a loop and its system calls, and tells a listener of each. A loop that is not traced has none.

import { Buffer } from "node:buffer";
import { type Address, addressBuffer, decodeAddress } from "../kernel/address.ts";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, SHUT_RD, SHUT_WR, SO_LINGER, SOL_SOCKET } from "../kernel/constants.ts";
import type { Syscalls } from "../kernel/ffi.ts";
import { WarningDetector } from "./warnings.ts";
import {
  type CtlEvent,
  TRACE_VERSION,
  type TraceEvent,
  type TraceListener,
  type TraceMoment,
  type TraceOptions,
  type TransferEvent,
} from "./events.ts";

const LINE_BYTES = 256;
/** The first line of an HTTP message, within so many bytes. */
const START_LINE = /^(?:[!-~]{1,32} [!-~]+ HTTP\/1\.[01]|HTTP\/1\.[01] \d{3}[ -~]*)(?=\r?\n)/;
/** What makes calls for others. */
const GO_BETWEEN = /src\/(?:trace\/tracer|tools\/debugger\/debug-thread|io\/[\w-]+)\.ts$/;
/** A frame of a stack that is not this file's: `at #receive (/path/src/server/run-loop.ts:247:12)`. */
const FRAME = /\(?((?:\/|\w+:)[^()]*?):(\d+):\d+\)?$/;

export class Tracer {
  readonly #listener: TraceListener;
  readonly #hasBytes: boolean;
  readonly #hasLines: () => boolean;
  readonly #detectors: WarningDetector;
  readonly #beganMs = performance.now();
  /** The listener's time, which is not the loop's. */
  #heldMs = 0;
  #seq = 0;
  #iteration = 0;
  /** By descriptor. */
  readonly #masks = new Map<number, number>();
  readonly #states = new Map<number, string>();
  #stateOf: ((fd: number) => string | undefined) | undefined;
  /** Its state may have changed since the last event. */
  #touched = -1;

  // The iteration that is under way.
  #returnedUs = 0;
  #turnFd = -1;
  #turnBeganUs = 0;
  #turns: [fd: number, us: number][] = [];
  #thrown: { error: unknown } | undefined;
  /** Since when Bun's event loop has the thread; undefined: it has not. */
  #awaySinceUs: number | undefined;
  #isProgram = false;
  #isLeaving = false;

  constructor(options: TraceListener | TraceOptions) {
    const {
      listener,
      bytes = false,
      lines = false,
      slowMs = 50,
    }: TraceOptions = typeof options === "function" ? { listener: options } : options;
    if (typeof listener !== "function") throw new TypeError("trace takes a function, or { listener }");
    if (typeof slowMs !== "number" || !(slowMs > 0))
      throw new RangeError("trace.slowMs is a number of milliseconds above 0");
    this.#listener = listener;
    this.#hasBytes = bytes;
    this.#hasLines = typeof lines === "function" ? lines : () => lines;
    this.#detectors = new WarningDetector(slowMs);
    this.#emit({
      seq: 0,
      us: 0,
      iteration: 0,
      type: "begin",
      version: TRACE_VERSION,
      pid: process.pid,
      date: new Date().toISOString(),
    });
  }

  /** How to ask what state a connection is in: what has changed becomes an event. */
  set stateOf(stateOf: (fd: number) => string | undefined) {
    this.#stateOf = stateOf;
  }

  /** A socket listens. */
  listens(fd: number, address: Address): void {
    this.#emit({ seq: 0, us: 0, iteration: 0, type: "listen", fd, address });
  }

  /** epoll_ctl was called. */
  controlled(epfd: number, op: CtlEvent["op"], fd: number, mask: number | null, result: number): void {
    const oldMask = this.#masks.get(fd) ?? null;
    if (result >= 0) {
      if (mask === null) this.#masks.delete(fd);
      else this.#masks.set(fd, mask);
    }
    this.#emit({ seq: 0, us: 0, iteration: 0, type: "ctl", epfd, op, fd, oldMask, mask, result });
  }

  /** The iteration is over, and Bun's event loop has the thread: what comes before the next wait is no part of it, and nobody's turn. */
  leaves(): void {
    this.#endIteration();
    this.#awaySinceUs = this.#us();
  }

  /** A wait that others made too has brought an event of this one descriptor: an iteration of its own. */
  delivered(epfd: number, fd: number, mask: number, handle: () => void): void {
    this.#rethrow();
    this.#iteration++;
    this.#returnedUs = this.#us();
    const events: [number, number][] = [[fd, mask]];
    this.#emit({
      seq: 0,
      us: 0,
      iteration: 0,
      type: "wait",
      epfd,
      timeoutMs: 0,
      maxEvents: 1,
      result: 1,
      events,
      blockedUs: 0,
    });
    this.#turn(fd);
    try {
      handle();
    } finally {
      this.#endIteration();
    }
  }

  /**
   * The same system calls for a whole program, that knows nothing of it: where it listens is told, too, and where it leaves the
   * thread to Bun's event loop is found out.
   */
  tracedProgram(sys: Syscalls): Syscalls {
    this.#isProgram = true;
    const transfer = (
      type: "recv" | "send",
      call: NonNullable<TransferEvent["call"]>,
      fd: number,
      bytes: Uint8Array | Int32Array,
      offset: number,
      wanted: number,
      make: () => number,
    ): number => {
      this.#turn(fd);
      const result = make();
      const event = this.#transfer(type, fd, wanted, result, bytes, offset, type === "recv" ? received : sent);
      event.call = call;
      this.#emit(event);
      return result;
    };
    const [received, sent] = [new StartLine(sys), new StartLine(sys)];
    return {
      ...this.traced(sys),
      connect: (fd, address) => {
        this.#turn(fd);
        const result = sys.connect(fd, address);
        const to = new Uint8Array(address.buffer, address.byteOffset, address.byteLength);
        this.#emit({ seq: 0, us: 0, iteration: 0, type: "connect", fd, address: decodeAddress(sys, to), result });
        return result;
      },
      read: (fd, bytes, offset, length) =>
        transfer("recv", "read", fd, bytes, offset, length, () => sys.read(fd, bytes, offset, length)),
      write: (fd, bytes, offset, length) =>
        transfer("send", "write", fd, bytes, offset, length, () => sys.write(fd, bytes, offset, length)),
      recvfrom: (fd, bytes, offset, length, flags, from) =>
        transfer("recv", "recvfrom", fd, bytes, offset, length, () =>
          sys.recvfrom(fd, bytes, offset, length, flags, from),
        ),
      sendto: (fd, bytes, offset, length, flags, to) =>
        transfer("send", "sendto", fd, bytes, offset, length, () => sys.sendto(fd, bytes, offset, length, flags, to)),
      recvmsg: (fd, bytes, length, from, control, controlLength, out, flags) =>
        transfer("recv", "recvmsg", fd, bytes, 0, length, () =>
          sys.recvmsg(fd, bytes, length, from, control, controlLength, out, flags),
        ),
      sendmsg: (fd, bytes, length, to, control, controlLength, flags) =>
        transfer("send", "sendmsg", fd, bytes, 0, length, () =>
          sys.sendmsg(fd, bytes, length, to, control, controlLength, flags),
        ),
      listen: (fd, backlog) => {
        const result = sys.listen(fd, backlog);
        const address = addressBuffer();
        if (result >= 0 && sys.getsockname(fd, address) >= 0) this.listens(fd, decodeAddress(sys, address));
        return result;
      },
    };
  }

  /** The same system calls, and an event for each of those that a loop makes. */
  traced(sys: Syscalls): Syscalls {
    const [received, sent] = [new StartLine(sys), new StartLine(sys)];
    return {
      ...sys,
      epoll_create1: (flags) => {
        const result = sys.epoll_create1(flags);
        this.#emit({ seq: 0, us: 0, iteration: 0, type: "create", result });
        return result;
      },
      epoll_wait: (epfd, out, maxEvents, timeoutMs) => {
        const awaySinceUs = this.#awaySinceUs;
        if (awaySinceUs === undefined) this.#endIteration();
        this.#comesBack();
        this.#rethrow();
        const begunUs = this.#us();
        const result = sys.epoll_wait(epfd, out, maxEvents, timeoutMs);
        this.#iteration++;
        const events: [number, number][] = [];
        for (let i = 0; i < result; i++) events.push([out[3 * i + 1] as number, out[3 * i] as number]);
        this.#returnedUs = this.#us();
        const blockedUs = this.#returnedUs - begunUs;
        this.#emit({
          seq: 0,
          us: 0,
          iteration: 0,
          type: "wait",
          epfd,
          timeoutMs,
          maxEvents,
          result,
          events,
          blockedUs: rounded(blockedUs),
          ...(awaySinceUs === undefined ? {} : { awayUs: rounded(begunUs - awaySinceUs) }),
        });
        return result;
      },
      epoll_ctl: (epfd, operation, fd, events, token) => {
        this.#turn(fd);
        const result = sys.epoll_ctl(epfd, operation, fd, events, token);
        const op = operation === EPOLL_CTL_ADD ? "ADD" : operation === EPOLL_CTL_DEL ? "DEL" : "MOD";
        this.controlled(epfd, op, fd, op === "DEL" ? null : events >>> 0, result);
        return result;
      },
      accept4: (fd, peer, flags) => {
        this.#turn(fd);
        const result = sys.accept4(fd, peer, flags);
        const bytes = new Uint8Array(peer.buffer, peer.byteOffset, peer.byteLength);
        this.#emit({
          seq: 0,
          us: 0,
          iteration: 0,
          type: "accept",
          fd,
          result,
          peer: result < 0 ? null : decodeAddress(sys, bytes),
        });
        return result;
      },
      recv: (fd, bytes, offset, wanted, flags) => {
        this.#turn(fd);
        const result = sys.recv(fd, bytes, offset, wanted, flags);
        this.#emit(this.#transfer("recv", fd, wanted, result, bytes, offset, received));
        return result;
      },
      send: (fd, bytes, offset, wanted, flags) => {
        this.#turn(fd);
        const result = sys.send(fd, bytes, offset, wanted, flags);
        this.#emit(this.#transfer("send", fd, wanted, result, bytes, offset, sent));
        return result;
      },
      shutdown: (fd, how) => {
        this.#turn(fd);
        const result = sys.shutdown(fd, how);
        this.#emit({
          seq: 0,
          us: 0,
          iteration: 0,
          type: "shutdown",
          fd,
          how: how === SHUT_RD ? "RD" : how === SHUT_WR ? "WR" : "RDWR",
          result,
        });
        return result;
      },
      setsockopt: (fd, level, name, value, length) => {
        const result = sys.setsockopt(fd, level, name, value, length);
        if (level === SOL_SOCKET && name === SO_LINGER)
          this.#emit({ seq: 0, us: 0, iteration: 0, type: "reset", fd, result });
        return result;
      },
      close: (fd) => {
        this.#turn(fd);
        const result = sys.close(fd);
        this.#masks.delete(fd); // the kernel forgets it with its last descriptor
        this.#emit({ seq: 0, us: 0, iteration: 0, type: "close", fd, result });
        return result;
      },
    };
  }

  /** From now on the time is this descriptor's. */
  #turn(fd: number): void {
    if (fd === this.#turnFd) return;
    this.#endTurn();
    this.#turnFd = fd;
  }

  #endTurn(): void {
    const us = this.#us();
    if (this.#turnFd >= 0) this.#turns.push([this.#turnFd, rounded(us - this.#turnBeganUs)]);
    this.#turnFd = -1;
    this.#turnBeganUs = us;
  }

  #endIteration(): void {
    this.#endTurn();
    const dispatches = this.#turns;
    this.#turns = [];
    this.#emit({
      seq: 0,
      us: 0,
      iteration: 0,
      type: "iteration",
      workedUs: rounded(this.#us() - this.#returnedUs),
      dispatches,
    });
  }

  /** Once it has nothing more to do in this turn of Bun's loop. If it blocks the thread, it never comes to that. */
  #leaveSoon(): void {
    this.#isLeaving = true;
    queueMicrotask(() => {
      if (this.#awaySinceUs === undefined) this.leaves();
      this.#isLeaving = false;
    });
  }

  #comesBack(): void {
    if (this.#awaySinceUs === undefined) return;
    this.#awaySinceUs = undefined;
    this.#turnFd = -1;
    this.#turns = [];
  }

  #emit(event: TraceEvent): void {
    this.#noteState();
    this.#tell(event);
    // No next event may come for long that its change of state could be told with.
    if (this.#awaySinceUs !== undefined && event.type !== "iteration") queueMicrotask(() => this.#noteState());
    else if (this.#isProgram && !this.#isLeaving) this.#leaveSoon();
    if (event.type === "accept" && event.result >= 0) this.#touched = event.result;
    else if ("fd" in event && event.fd !== null) this.#touched = event.fd;
    if (event.type === "wait") this.#turnBeganUs = this.#returnedUs;
    for (const warning of this.#detectors.see(event, this.#iteration))
      this.#tell({ seq: 0, us: 0, iteration: 0, ...warning });
  }

  /** The state of the descriptor that the last event was about, if it has changed meanwhile. */
  #noteState(): void {
    const fd = this.#touched;
    if (fd < 0 || this.#stateOf === undefined) return;
    this.#touched = -1;
    const from = this.#states.get(fd) ?? null;
    const to = this.#stateOf(fd) ?? null;
    if (from === to) return;
    if (to === null) this.#states.delete(fd);
    else this.#states.set(fd, to);
    this.#tell({ seq: 0, us: 0, iteration: 0, type: "state", fd, from, to });
  }

  /** The event gets its moment here: it is made with room for one, since to copy it costs more than all the rest. */
  #tell(event: TraceEvent): void {
    const nowMs = performance.now();
    event.seq = ++this.#seq;
    event.us = rounded((nowMs - this.#beganMs - this.#heldMs) * 1000);
    event.iteration = this.#iteration;
    if ("result" in event && this.#hasLines()) {
      const at = callerLine();
      if (at !== undefined) event.at = at;
    }
    try {
      this.#listener(event);
    } catch (error) {
      this.#thrown ??= { error }; // not here, between a system call and what has to follow it
    }
    this.#heldMs += performance.now() - nowMs;
  }

  #rethrow(): void {
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (thrown !== undefined) throw thrown.error;
  }

  #transfer(
    type: "recv" | "send",
    fd: number,
    wanted: number,
    result: number,
    all: Uint8Array | Int32Array,
    offset: number,
    lines: StartLine,
  ): TraceMoment & TransferEvent {
    const event: TraceMoment & TransferEvent = { seq: 0, us: 0, iteration: 0, type, fd, wanted, result };
    if (result <= 0) return event;
    const line = lines.of(all, offset, result);
    if (line !== undefined) event.line = line;
    if (this.#hasBytes) event.bytes = latin1(all, offset, result);
    return event;
  }

  #us(): number {
    return (performance.now() - this.#beganMs - this.#heldMs) * 1000;
  }
}

/** The first line of a message. The same bytes as last time have the same: most requests and replies of a server. */
class StartLine {
  readonly #sys: Syscalls;
  readonly #last = new Uint8Array(new ArrayBuffer(LINE_BYTES));
  #length = 0;
  #line: string | undefined;

  constructor(sys: Syscalls) {
    this.#sys = sys;
  }

  of(all: Uint8Array | Int32Array, offset: number, size: number): string | undefined {
    const length = Math.min(size, LINE_BYTES);
    if (length === this.#length && this.#sys.equal(all, offset, this.#last, length) === 1) return this.#line;
    this.#length = length;
    this.#last.set(new Uint8Array(all.buffer, all.byteOffset + offset, length));
    return (this.#line = START_LINE.exec(latin1(all, offset, length))?.[0]);
  }
}

/** A character for each byte. */
function latin1(all: Uint8Array | Int32Array, offset: number, length: number): string {
  return Buffer.from(all.buffer, all.byteOffset + offset, length).toString("latin1");
}

function rounded(us: number): number {
  return Math.round(us * 10) / 10;
}

/** The first frame below this file, Epoll's and Socket's: the line that wanted the call. */
function callerLine(): string | undefined {
  const root = import.meta.dir.replace(/src\/trace$/, ""); // the package's folder, unless it is bundled
  const frames = (new Error().stack ?? "").split("\n").slice(1);
  for (const frame of frames) {
    const [, path = "", line] = FRAME.exec(frame.trim()) ?? [];
    if (path === "" || (path.startsWith(root) && GO_BETWEEN.test(path))) continue;
    return `${path.startsWith(`${root}src/`) ? path.slice(root.length) : path}:${line}`;
  }
  return undefined;
}
