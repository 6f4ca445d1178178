// The thread that traces processes for the debugger: reports their events, and holds a thread when a stop condition holds.

import { basename } from "node:path";
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { nodeFs } from "../../kernel/node-fs.ts";
import { untracedSyscalls } from "../../kernel/ffi.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { DecodedCall } from "../../trace/processes/decoded-call.ts";
import { type HeldThread as EngineHeld, ProcessEngine, type TraceeEnd } from "../../trace/processes/engine.ts";
import { kernelOf } from "../../trace/processes/kernel-of.ts";
import { ProcessTracer } from "../../trace/processes/process-tracer.ts";
import type { TraceeError } from "../../trace/processes/tracee-error.ts";
import { Evaluator, type ExpressionScope } from "./evaluate.ts";
import { type EventFeed, LosslessFeed, SampledFeed } from "./event-feed.ts";
import type { ConnectionQuery } from "./event-ring.ts";
import { FdTable } from "./fd-table.ts";
import type { LoopRecorder } from "./loop-recorder.ts";
import type { SampleCounts } from "./sampler.ts";
import { scriptOf } from "./script-of.ts";
import { StopConditions } from "./stop-conditions.ts";
import {
  COMMAND_COUNT,
  type ProcessStartMessage,
  type StackFrame,
  type StopReason,
  TAKEN_SEQ,
  type ThreadCommand,
  type ThreadReport,
} from "./thread-messages.ts";

/** How long events may be held back before they are sent, while no event happens. */
const TIMER_MS = 50;
/** How long to wait for the debugger to take events before checking again. */
const TAKEN_TIMEOUT_MS = 100;
/** How long a program may take to end after SIGTERM, before it is killed. */
const TERMINATE_MS = 1_000;
const SIGTERM = 15;
const SIGKILL = 9;

declare const self: {
  addEventListener(
    type: "message",
    listener: (message: MessageEvent<ProcessStartMessage>) => void,
    options: { once: true },
  ): void;
  postMessage(report: ThreadReport): void;
};

self.addEventListener("message", ({ data }) => new ProcessThread(data).run(), { once: true });

/** A thread of the program that is held, and why. */
interface HeldThread {
  pid: number;
  tid: number;
  reason: StopReason;
  breakpoint: number | undefined;
  position: string | undefined;
  stack: readonly StackFrame[];
  sinceMs: number;
}

class ProcessThread {
  readonly #start: ProcessStartMessage;
  readonly #shared: Int32Array;
  readonly #commands: MessagePort;
  readonly #stopConditions: StopConditions;
  readonly #fdTable: FdTable;
  readonly #feed: EventFeed;
  /** Set only if the events are sampled. */
  readonly #counts: SampleCounts | undefined;
  readonly #recorder: LoopRecorder | undefined;
  readonly #evaluator: Evaluator;
  readonly #engine: ProcessEngine;
  #tracer: ProcessTracer | undefined;
  #event: TraceEvent | undefined;
  /** The pause that was reported, and those of other threads that are to be reported after it. */
  #held: HeldThread | undefined;
  readonly #queue: HeldThread[] = [];
  /** For how long all threads were held. */
  #pausedMs = 0;
  #isPausing = false;
  /** Why a thread is interrupted, if it was not asked for: an event after which it could not be held. */
  #reason: Pick<HeldThread, "reason" | "breakpoint"> | undefined;
  /** The number of commands received. */
  #commandCount = 0;
  #nothingFd: number | undefined;
  #endMs: number | undefined;
  #end: TraceeEnd | undefined;
  /** Why the program cannot be traced. */
  #error: TraceeError | undefined;

  constructor(start: ProcessStartMessage) {
    this.#start = start;
    this.#shared = new Int32Array(start.shared);
    this.#commands = start.commands as MessagePort;
    this.#evaluator = new Evaluator((text) => self.postMessage({ kind: "settled", text }));
    this.#stopConditions = new StopConditions(
      { kind: start.isPaused ? "step" : "continue" },
      {
        isTrue: (condition) => this.#evaluator.isTrue(condition, this.#scope),
        valueOf: (expression) => this.#evaluator.describeValue(expression, this.#scope),
      },
    );
    if (start.isSampled) {
      const feed = new SampledFeed((sample) => self.postMessage({ kind: "sample", sample }), start.timings);
      this.#recorder = feed.recorder;
      this.#feed = feed;
      this.#fdTable = feed.sampler.table;
      this.#counts = feed.sampler.counts;
    } else {
      this.#feed = this.#createLosslessFeed();
      this.#fdTable = new FdTable();
    }
    const { follows, stopsAll } = start.process;
    this.#engine = new ProcessEngine(
      {
        onCall: (call) => this.#onCall(call),
        onWaitEntry: (call) => this.#onWaitEntry(call),
        onHeld: (held) => this.#onHeld(held),
        onNotice: (text) => self.postMessage({ kind: "notice", text }),
        onError: (error) => {
          this.#error = error;
        },
        onEnd: (end) => {
          this.#end = end;
        },
      },
      { follow: follows, bytes: start.hasBytes },
    );
    this.#engine.allStop = stopsAll;
  }

  run(): void {
    const { process: selection, wakeFd } = this.#start;
    const { target } = selection;
    const engine = this.#engine;
    try {
      this.#updateHolding();
      if ("pid" in target) engine.attach(target.pid);
      else if (selection.hasPrompt !== true) engine.start(target.command);
      else engine.start(target.command, { stdio: [this.#openNothing(), 1, 2], newGroup: true });
    } catch (error) {
      return this.#fail(error as TraceeError);
    }
    const counter = new Uint8Array(new ArrayBuffer(8));
    while (this.#end === undefined && this.#error === undefined) {
      if (engine.wait(wakeFd, this.#timeoutMs())) untracedSyscalls().read_nowait(wakeFd, counter, 0, counter.length);
      if (this.#hasCommands) this.#runCommands();
      this.#onTimer();
    }
    if (this.#error !== undefined) return this.#fail(this.#error);
    this.#tracer?.finish();
    this.#feed.flush();
    engine.close();
    this.#commands.close();
    const { exitCode, signal }: TraceeEnd = this.#end ?? {};
    self.postMessage({ kind: "ended", stats: undefined, error: undefined, exitCode, signal });
  }

  /** Returns an fd that is the standard input of the command. The command gets it some time after it was started. */
  #openNothing(): number {
    return (this.#nothingFd = nodeFs().openSync("/dev/null", "r"));
  }

  #closeNothing(): void {
    if (this.#nothingFd !== undefined) nodeFs().closeSync(this.#nothingFd);
    this.#nothingFd = undefined;
  }

  #fail({ message, code }: TraceeError): void {
    this.#closeNothing();
    this.#engine.close();
    self.postMessage({ kind: "failed", message, code });
  }

  /** The command has been started, or the process has been attached to. */
  #begin(pid: number): ProcessTracer {
    this.#closeNothing();
    const { process: selection, hasBytes, hasSecrets } = this.#start;
    const { target } = selection;
    this.#tracer = new ProcessTracer({
      pid,
      program: scriptOf(selection),
      kernelOf,
      bytes: hasBytes,
      secrets: hasSecrets,
      lines: true,
      pausedMs: () => this.#pausedMs,
      listener: (event) => this.#onEvent(event),
    });
    const name =
      "pid" in target ? `process ${pid}` : [basename(target.command[0] ?? ""), ...target.command.slice(1)].join(" ");
    self.postMessage({ kind: "started", location: { url: name, addresses: [] }, threadId: pid, pid });
    return this.#tracer;
  }

  // ---- what the engine reports ----

  #onCall(call: DecodedCall): "hold" | undefined {
    const event = (this.#tracer ?? this.#begin(call.pid)).onCall(call);
    const { type } = event;
    if (type === "listen" && (event.result ?? 0) >= 0) self.postMessage({ kind: "listening", address: event.address });
    if (type === "open" && event.kind === "listener" && event.address !== undefined)
      self.postMessage({ kind: "listening", address: event.address });
    if (this.#endMs !== undefined) return undefined;
    const reason = this.#stopConditions.reasonToStop(event);
    if (reason === undefined) return undefined;
    if (call.isHeld !== true) {
      // The program has gone on: it is stopped wherever it is.
      this.#isPausing = true;
      this.#reason = { reason, breakpoint: this.#stopConditions.hit };
      this.#engine.interrupt(call.tid);
      return undefined;
    }
    const { pid, tid } = call;
    const breakpoint = this.#stopConditions.hit;
    this.#hold({
      pid,
      tid,
      reason,
      breakpoint,
      position: event.at,
      stack: framesOf(event.at),
      sinceMs: performance.now(),
    });
    return "hold";
  }

  #onWaitEntry(call: DecodedCall): void {
    this.#tracer?.onWaitEntry(call);
    if (!this.#feed.isHolding) this.#feed.flush();
  }

  /** A thread was interrupted. */
  #onHeld({ pid, tid, in: call, locate }: EngineHeld): void {
    if (!this.#isPausing) return this.#engine.resume(tid);
    const detail = call?.detail;
    const waitsIn =
      detail?.type === "wait"
        ? {
            epfd: detail.epfd,
            timeoutMs: detail.timeoutMs,
            ...(detail.call === undefined ? {} : { call: detail.call }),
          }
        : ("code" as const);
    const position = locate?.();
    const { reason, breakpoint } = this.#reason ?? {
      reason: { kind: "pause", waitsIn } as const,
      breakpoint: undefined,
    };
    this.#reason = undefined;
    this.#hold({ pid, tid, reason, breakpoint, position, stack: framesOf(position), sinceMs: performance.now() });
  }

  #onEvent(event: TraceEvent): void {
    this.#event = event;
    if (this.#counts === undefined) this.#fdTable.apply(event);
    this.#feed.add(event);
  }

  // ---- pauses ----

  #hold(held: HeldThread): void {
    if (this.#held !== undefined) {
      this.#queue.push(held);
      return;
    }
    this.#held = held;
    this.#isPausing = false;
    this.#stopConditions.isPausing = false;
    this.#report(held);
  }

  #report({ pid, tid, reason, breakpoint, position, stack }: HeldThread): void {
    this.#feed.flush();
    const counts = this.#stopConditions.breakpoints.map(({ id, hits, ignore }) => ({ id, hits, ignore }));
    self.postMessage({ kind: "paused", breakpoint, counts, reason, stack, position, thread: { pid, tid } });
  }

  #resume(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#updateHolding();
    const ms = performance.now() - held.sinceMs;
    const isWhole = this.#start.process.stopsAll || (this.#tracer?.threads ?? 0) <= 1;
    if (isWhole) this.#pausedMs += ms;
    else this.#tracer?.onHeld(held.tid, ms);
    const next = this.#queue.shift();
    if (next !== undefined) {
      this.#engine.resume(held.tid);
      this.#held = next;
      this.#report(next);
    } else if (this.#start.process.stopsAll) {
      this.#engine.resume();
    } else {
      this.#engine.resume(held.tid);
    }
  }

  /** Threads are held after each call only if that may be where to pause: otherwise they run at full speed. */
  #updateHolding(): void {
    const { mode, breakpoints } = this.#stopConditions;
    const needsCalls = breakpoints.length > 0 || mode.kind === "step" || mode.kind === "return";
    this.#engine.holdAt = needsCalls ? "calls" : mode.kind === "continue" ? "nothing" : "waits";
  }

  // ---- commands ----

  get #hasCommands(): boolean {
    return Atomics.load(this.#shared, COMMAND_COUNT) !== this.#commandCount;
  }

  #runCommands(): void {
    this.#commandCount = Atomics.load(this.#shared, COMMAND_COUNT);
    for (let message; (message = receiveMessageOnPort(this.#commands)) !== undefined;) {
      const command = message.message as ThreadCommand;
      switch (command.kind) {
        case "go":
          this.#stopConditions.mode = command.mode;
          this.#resume();
          break;
        case "pause":
          this.#pause();
          break;
        case "breakpoints":
          this.#stopConditions.breakpoints = command.breakpoints;
          this.#updateHolding();
          break;
        case "evaluate":
          self.postMessage({ kind: "value", id: command.id, text: this.#evaluator.run(command.code, this.#scope) });
          break;
        case "complete": {
          const text = JSON.stringify(this.#evaluator.propertyNames(command.code, this.#scope));
          self.postMessage({ kind: "value", id: command.id, text });
          break;
        }
        case "watched":
          this.#feed.isWatched = command.isWatched;
          break;
        case "connection":
          this.#answerQuery(command.id, command.query);
          break;
        case "end":
          this.#terminate();
      }
    }
  }

  #pause(): void {
    if (this.#held !== undefined || this.#end !== undefined) return;
    this.#isPausing = true;
    const { event, stopsAll } = { event: this.#event, stopsAll: this.#start.process.stopsAll };
    this.#engine.interrupt(stopsAll ? undefined : (event?.tid ?? this.#engine.pid));
  }

  /** Ends a program that was started, and lets go of one that was attached to. */
  #terminate(): void {
    if (this.#endMs !== undefined) return;
    this.#endMs = performance.now();
    this.#engine.holdAt = "nothing";
    if ("pid" in this.#start.process.target) {
      this.#engine.detach();
    } else {
      this.#kill(SIGTERM);
      this.#engine.resume();
    }
  }

  #kill(signal: number): void {
    try {
      this.#engine.kill(signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has ended
    }
  }

  #timeoutMs(): number {
    let ms = Math.ceil(this.#tracer?.msUntilCheck() ?? Infinity);
    if (this.#feed.hasPending) ms = Math.min(ms, TIMER_MS);
    if (this.#endMs !== undefined) ms = Math.min(ms, TIMER_MS);
    return ms === Infinity ? -1 : ms;
  }

  #onTimer(): void {
    if (this.#held === undefined && (this.#tracer?.msUntilCheck() ?? Infinity) <= 1) this.#tracer?.check();
    if (this.#feed.hasPending) this.#feed.onTimer();
    if (this.#endMs === undefined || performance.now() - this.#endMs < TERMINATE_MS) return;
    this.#endMs = Infinity; // once
    this.#kill(SIGKILL);
    this.#engine.resume();
  }

  #answerQuery(id: number, query: ConnectionQuery): void {
    const events = this.#recorder?.ring.eventsOf(query) ?? { events: [], isTruncated: true, isClosed: false };
    self.postMessage({ kind: "connection", id, events });
  }

  #createLosslessFeed(): LosslessFeed {
    return new LosslessFeed(
      (events) => self.postMessage({ kind: "events", events }),
      () => Atomics.load(this.#shared, TAKEN_SEQ),
      (takenSeq) => Atomics.wait(this.#shared, TAKEN_SEQ, takenSeq, TAKEN_TIMEOUT_MS),
    );
  }

  get #scope(): ExpressionScope {
    const { ready, iteration, epfd, entries } = this.#fdTable;
    return { event: this.#event, ready, iteration, epfd, entries };
  }
}

/** Returns the only frame that is known. */
function framesOf(position: string | undefined): readonly StackFrame[] {
  const [, file, line] = /^(.*):(\d+)$/.exec(position ?? "") ?? [];
  return file === undefined ? [] : [{ name: "", file, line: Number(line) }];
}
