// The debugged thread: runs a server or a program, reports its events, and pauses after an event when a stop condition holds.

import { resolve } from "node:path";
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { type Syscalls, wrapSyscalls } from "../../kernel/ffi.ts";
import { nodeFs } from "../../kernel/node-fs.ts";
import { allowLongWaits } from "../../io/epoll.ts";
import { displayedUrl } from "../../server/listeners.ts";
import { describeHandlerError, describeThrown } from "../../server/describe-error.ts";
import { loadApp } from "../../serve/load-app.ts";
import { mergeOptions } from "../../server/merge-options.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import { EpollServer } from "../../server/server.ts";
import { callerLine } from "../../trace/caller-line.ts";
import type { TraceEvent } from "../../trace/events.ts";
import { type DebuggedTraceOptions, Tracer } from "../../trace/tracer.ts";
import { Evaluator, type ExpressionScope } from "./evaluate.ts";
import { type EventFeed, LosslessFeed, SampledFeed } from "./event-feed.ts";
import { FdTable } from "./fd-table.ts";
import type { ConnectionQuery } from "./event-ring.ts";
import { type BlockedWait, interruptibleWaits } from "./interruptible-wait.ts";
import type { LoopRecorder } from "./loop-recorder.ts";
import type { SampleCounts } from "./sampler.ts";
import { captureStack } from "./stack-frames.ts";
import { StopConditions } from "./stop-conditions.ts";
import {
  COMMAND_COUNT,
  IS_POKED,
  type SourceLocation,
  type StartMessage,
  type StopReason,
  TAKEN_SEQ,
  type ThreadCommand,
  type ThreadReport,
} from "./thread-messages.ts";

/** How long events may be held back before they are sent, while no event happens. */
const TIMER_MS = 50;
/** How long a step waits for an event on Bun's event loop before it pauses without one. */
const STEP_TIMEOUT_MS = 50;
/** The time that the tracer itself takes per event, as measured by bench/inspect.ts. */
const TRACER_US = 0.5;
/** How long to wait for the debugger to take events before checking again. */
const TAKEN_TIMEOUT_MS = 100;

declare const self: {
  addEventListener(
    type: "message",
    listener: (message: MessageEvent<StartMessage>) => void,
    options: { once: true },
  ): void;
  postMessage(report: ThreadReport): void;
};

self.addEventListener("message", ({ data }) => void new DebugThread(data).run(), { once: true });

class DebugThread {
  readonly #start: StartMessage;
  readonly #shared: Int32Array;
  readonly #commands: MessagePort;
  readonly #stopConditions: StopConditions;
  readonly #fdTable: FdTable;
  readonly #feed: EventFeed;
  readonly #trace: DebuggedTraceOptions;
  /** For how long the thread was paused while it waited. */
  #pausedMs = 0;
  /** The timeout of the last wait. The tracer may split it. */
  #waitTimeoutMs = 0;
  /** Set only if the events are sampled. */
  readonly #counts: SampleCounts | undefined;
  readonly #recorder: LoopRecorder | undefined;
  #event: TraceEvent | undefined;
  /** The number of commands received. */
  #commandCount = 0;
  #isEnding = false;
  /** False until the server listens or the program runs: earlier events are reported, but do not pause the thread. */
  #hasStarted = false;
  #server: EpollServer | undefined;
  readonly #evaluator: Evaluator;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #stepTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(start: StartMessage) {
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
    // Finding the source line is slow, so it is skipped while the loop is too busy to show all events.
    const lines = (): boolean => !this.#feed.isHolding;
    this.#trace = {
      listener: (event) => this.#onEvent(event),
      bytes: start.hasBytes,
      secrets: start.hasSecrets,
      program: start.program?.[0] ?? (start.app === undefined ? undefined : resolve(start.app)),
      lines,
      pausedMs: () => this.#pausedMs,
      onWait: (timeoutMs) => {
        this.#waitTimeoutMs = timeoutMs;
      },
    };
  }

  async run(): Promise<void> {
    const { options, defaultAddress, app, program, pollMs } = this.#start;
    this.#receiveCommands();
    if (program !== undefined) return await this.#runProgram(program);
    let server: EpollServer;
    let url: string;
    let needsBunLoop = app !== undefined;
    try {
      const appOptions = app === undefined ? {} : { ...this.#appDefaults, ...(await loadApp(app, reportHandlerError)) };
      const merged = mergeOptions(appOptions, options, defaultAddress);
      needsBunLoop ||= merged.tls !== undefined && merged.tls !== false;
      server = new EpollServer({ ...merged, trace: this.#trace });
      url = displayedUrl(server.url, merged);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      self.postMessage({ kind: "failed", message: messageOf(error), code });
      return;
    }
    this.#server = server;
    this.#hasStarted = true;
    this.#reportStart({ url, addresses: server.addresses });
    let error: string | undefined;
    try {
      if (needsBunLoop) await this.#runServerOnBunLoop(server);
      else this.#runServer(server, pollMs);
    } catch (thrown) {
      error = messageOf(thrown);
    }
    this.#feed.flush();
    self.postMessage({ kind: "ended", stats: server.stats, error, exitCode: undefined });
    this.#commands.close();
    (this.#start.pokes as MessagePort).close();
  }

  /** Imports a program, after replacing this thread's system calls with traced ones. */
  async #runProgram([file = "", ...programArguments]: readonly string[]): Promise<void> {
    const tracer = new Tracer(this.#trace);
    wrapSyscalls((sys) => tracer.wrapProgram(this.#interruptible(sys)));
    process.argv.splice(1, Infinity, file, ...programArguments);
    this.#reportStart({ url: file, addresses: [] });
    if (this.#start.isHeld) this.#waitForResume();
    this.#hasStarted = true;
    let error: string | undefined;
    process.on("exit", (code) => {
      tracer.finish();
      this.#feed.flush();
      self.postMessage({ kind: "ended", stats: undefined, error, exitCode: error === undefined ? code : 1 });
    });
    try {
      await import("../../libuv/index.ts"); // the program, or a Worker of it, may load native addons that need libuv
      await import(file);
    } catch (thrown) {
      error = describeThrown(thrown);
    }
    this.#feed.flush(); // the thread ends when the program has nothing left to wait for
  }

  #runServer(server: EpollServer, pollMs: number | undefined): void {
    while (!server.closed) {
      if (this.#isEnding) void server.stop({ graceMs: 0 });
      server.tick(pollMs ?? -1);
    }
  }

  /** An application may use timers and fetch, so it needs Bun's event loop. */
  async #runServerOnBunLoop(server: EpollServer): Promise<void> {
    const started = server.start();
    if (this.#stopConditions.mode.kind === "step") this.#limitStep(); // an idle server reports no event to pause at
    await started;
    await server.stopped;
  }

  get #appDefaults(): EpollServerOptions {
    return {
      onError: reportHandlerError,
    };
  }

  #reportStart(location: SourceLocation): void {
    const threadId = Number(nodeFs().readlinkSync("/proc/thread-self").split("/").at(-1));
    self.postMessage({ kind: "started", location, threadId });
  }

  // ---- commands that arrive while no event happens ----

  #interruptible(sys: Syscalls): Syscalls {
    return interruptibleWaits(sys, this.#start.wakeFd, {
      timerMs: () => (this.#feed.isHolding ? TIMER_MS : undefined),
      onTimer: () => this.#feed.onTimer(),
      onBlock: (wait) => {
        if (!this.#feed.isHolding) this.#feed.flush();
        const isStep = this.#stopConditions.mode.kind === "step" && this.#hasStarted && !this.#isEnding;
        if (isStep && this.#waitTimeoutMs < 0) this.#pause({ kind: "blocked", waitsIn: this.#whole(wait) });
      },
      onWake: (wait) => {
        this.#onCommands(wait && this.#whole(wait));
        return this.#isEnding && this.#server !== undefined;
      },
    });
  }

  /** Returns a wait with the timeout of the call, of which it may be a part. */
  #whole({ epfd }: BlockedWait): BlockedWait {
    return { epfd, timeoutMs: this.#waitTimeoutMs };
  }

  /** Receives commands while this thread is in Bun's event loop. */
  #receiveCommands(): void {
    wrapSyscalls((sys) => this.#interruptible(sys));
    allowLongWaits();
    const pokes = this.#start.pokes as globalThis.MessagePort & MessagePort;
    pokes.addEventListener("message", () => {
      Atomics.store(this.#shared, IS_POKED, 0);
      this.#onCommands("bun");
    });
    pokes.start();
    pokes.unref(); // the thread ends when the program has nothing left to wait for
  }

  /** @param waitsIn what the thread waits for; undefined: it is about to return from epoll_wait */
  #onCommands(waitsIn: BlockedWait | "bun" | undefined): void {
    if (this.#hasCommands) this.#runCommands();
    if (this.#isEnding) {
      if (waitsIn === "bun") void this.#server?.stop({ graceMs: 0 });
    } else if (this.#stopConditions.isPausing && waitsIn !== undefined && this.#hasStarted) {
      this.#stopConditions.isPausing = false;
      this.#pause({ kind: "pause", waitsIn });
    }
  }

  /** Sends the events that are held back, if no event follows that would send them. */
  #scheduleFlush(): void {
    if (!this.#feed.hasPending || this.#flushTimer !== undefined) return;
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined;
      this.#feed.onTimer();
      this.#scheduleFlush();
    }, TIMER_MS);
    this.#flushTimer.unref();
  }

  /** Pauses a step if no event happens, because the thread waits in Bun's event loop. */
  #limitStep(): void {
    this.#stepTimer = setTimeout(() => this.#pause({ kind: "blocked", waitsIn: "bun" }), STEP_TIMEOUT_MS);
    this.#stepTimer.unref();
  }

  // ---- events ----

  /** The tracer's listener: the loop continues when it returns. */
  #onEvent(event: TraceEvent): void {
    const startMs = performance.now();
    this.#event = event;
    if (this.#counts === undefined) this.#fdTable.apply(event);
    this.#feed.add(event);
    if (this.#counts !== undefined) this.#counts.overheadUs += (performance.now() - startMs) * 1000 + TRACER_US;
    if (this.#hasCommands) this.#runCommands();
    if (event.type === "listen" && this.#server === undefined && this.#hasStarted) {
      self.postMessage({ kind: "listening", address: event.address });
    }
    if (!this.#isEnding && this.#hasStarted) {
      const reason = this.#stopConditions.reasonToStop(event);
      if (reason !== undefined) {
        // A loop that pauses shows where, even if it was too busy for the source line of each event.
        const at = event.at ?? callerLine();
        if (at !== undefined) event.at = at;
        this.#pause(reason);
      }
    }
    this.#scheduleFlush();
  }

  /** Blocks the thread until a command resumes it. */
  #pause(reason: StopReason): void {
    clearTimeout(this.#stepTimer);
    this.#feed.flush();
    const { breakpoints, hit } = this.#stopConditions;
    const counts = breakpoints.map(({ id, hits, ignore }) => ({ id, hits, ignore }));
    const breakpoint = reason.waitsIn === undefined ? hit : undefined;
    const stack = reason.waitsIn === "bun" ? [] : captureStack();
    self.postMessage({ kind: "paused", breakpoint, counts, reason, stack });
    const startMs = performance.now();
    this.#waitForResume();
    if (reason.waitsIn !== undefined) this.#pausedMs += performance.now() - startMs;
    if (this.#stopConditions.mode.kind === "step") this.#limitStep();
  }

  #waitForResume(): void {
    do Atomics.wait(this.#shared, COMMAND_COUNT, this.#commandCount);
    while (!this.#runCommands());
  }

  get #hasCommands(): boolean {
    return Atomics.load(this.#shared, COMMAND_COUNT) !== this.#commandCount;
  }

  /** Runs all pending commands; returns whether one of them resumes the thread. */
  #runCommands(): boolean {
    let isResumed = false;
    this.#commandCount = Atomics.load(this.#shared, COMMAND_COUNT);
    for (let message; (message = receiveMessageOnPort(this.#commands)) !== undefined;) {
      const command = message.message as ThreadCommand;
      switch (command.kind) {
        case "go":
          this.#stopConditions.mode = command.mode;
          isResumed = true;
          break;
        case "pause":
          this.#stopConditions.isPausing = true;
          break;
        case "breakpoints":
          this.#stopConditions.breakpoints = command.breakpoints;
          break;
        case "evaluate":
          self.postMessage({ kind: "value", id: command.id, text: this.#evaluator.run(command.code, this.#scope) });
          break;
        case "complete":
          self.postMessage({
            kind: "value",
            id: command.id,
            text: JSON.stringify(this.#evaluator.propertyNames(command.code, this.#scope)),
          });
          break;
        case "watched":
          this.#feed.isWatched = command.isWatched;
          break;
        case "connection":
          this.#answerQuery(command.id, command.query);
          break;
        case "end":
          this.#isEnding = isResumed = true;
      }
    }
    return isResumed;
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
    return { event: this.#event, ready, iteration, epfd, entries, server: this.#server };
  }
}

function reportHandlerError(error: unknown, request: Request | undefined): void {
  self.postMessage({ kind: "handler-error", message: describeHandlerError(error, request) });
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
