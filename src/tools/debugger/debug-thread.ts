// The debugged thread: runs a server or a program, reports its events, and pauses after an event when a stop condition holds.

import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { type Syscalls, wrapSyscalls } from "../../kernel/ffi.ts";
import { displayedUrl } from "../../server/listeners.ts";
import { describeHandlerError, describeThrown } from "../../server/describe-error.ts";
import { loadApp } from "../../server/load-app.ts";
import { mergeOptions } from "../../server/merge-options.ts";
import type { EpollServerOptions } from "../../server/options.ts";
import { EpollServer } from "../../server/server.ts";
import type { TraceEvent, TraceOptions } from "../../trace/events.ts";
import { Tracer } from "../../trace/tracer.ts";
import { describeValue, type ExpressionScope } from "./evaluate.ts";
import { type EventFeed, LosslessFeed, SampledFeed } from "./event-feed.ts";
import { FdTable } from "./fd-table.ts";
import type { SampleCounts } from "./sampler.ts";
import { isTrue, StopConditions } from "./stop-conditions.ts";
import {
  COMMAND_COUNT,
  type StartMessage,
  TAKEN_SEQ,
  type ThreadCommand,
  type ThreadReport,
} from "./thread-messages.ts";

/** The interval at which the thread checks for commands and pending events while no event happens. */
const TIMER_MS = 50;
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
  readonly #trace: TraceOptions;
  /** Set only if the events are sampled. */
  readonly #counts: SampleCounts | undefined;
  #event: TraceEvent | undefined;
  /** The number of commands received. */
  #commandCount = 0;
  #isEnding = false;
  /** False until the server listens or the program runs: earlier events are reported, but do not pause the thread. */
  #hasStarted = false;
  #server: EpollServer | undefined;

  constructor(start: StartMessage) {
    this.#start = start;
    this.#shared = new Int32Array(start.shared);
    this.#commands = start.commands as MessagePort;
    this.#stopConditions = new StopConditions({ kind: start.isPaused ? "step" : "continue" }, (condition) =>
      isTrue(condition, this.#scope),
    );
    if (start.isSampled) {
      const feed = new SampledFeed((sample) => self.postMessage({ kind: "sample", sample }));
      this.#feed = feed;
      this.#fdTable = feed.sampler.table;
      this.#counts = feed.sampler.counts;
    } else {
      this.#feed = this.#createLosslessFeed();
      this.#fdTable = new FdTable();
    }
    // Finding the source line is slow, so it is skipped while the loop is too busy to show all events.
    const lines = (): boolean => !this.#feed.isHolding;
    this.#trace = { listener: (event) => this.#onEvent(event), bytes: start.hasBytes, lines };
  }

  async run(): Promise<void> {
    const { options, defaultAddress, app, program, pollMs } = this.#start;
    if (program !== undefined) return await this.#runProgram(program);
    let server: EpollServer;
    let url: string;
    try {
      const appOptions = app === undefined ? {} : { ...this.#appDefaults, ...(await loadApp(app)) };
      const merged = mergeOptions(appOptions, options, defaultAddress);
      server = new EpollServer({ ...merged, trace: this.#trace });
      url = displayedUrl(server.url, merged);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
      self.postMessage({ kind: "failed", message: messageOf(error), code });
      return;
    }
    this.#server = server;
    this.#hasStarted = true;
    self.postMessage({ kind: "started", location: { url, addresses: server.addresses } });
    let error: string | undefined;
    try {
      if (app === undefined) this.#runServer(server, pollMs);
      else await this.#runServerOnBunLoop(server);
    } catch (thrown) {
      error = messageOf(thrown);
    }
    this.#feed.flush();
    self.postMessage({ kind: "ended", stats: server.stats, error });
    this.#commands.close();
  }

  /** Imports a program, after replacing this thread's system calls with traced ones. */
  async #runProgram([file = "", ...programArguments]: readonly string[]): Promise<void> {
    const tracer = new Tracer(this.#trace);
    wrapSyscalls((sys) => limitWaits(tracer.wrapProgram(sys), this.#start.pollMs));
    process.argv.splice(1, Infinity, file, ...programArguments);
    this.#hasStarted = true;
    self.postMessage({ kind: "started", location: { url: file, addresses: [] } });
    let error: string | undefined;
    process.on("exit", () => {
      tracer.finish();
      this.#feed.flush();
      self.postMessage({ kind: "ended", stats: undefined, error });
    });
    const timer = setInterval(() => this.#onTimer(), TIMER_MS);
    try {
      await import("../../libuv/index.ts"); // the program, or a Worker of it, may load native addons that need libuv
      await import(file);
    } catch (thrown) {
      error = describeThrown(thrown);
    }
    this.#feed.flush();
    timer.unref(); // the thread ends when the program has nothing left to wait for
  }

  #runServer(server: EpollServer, pollMs: number): void {
    while (!server.closed) {
      if (this.#isEnding) void server.stop({ graceMs: 0 });
      server.tick(this.#feed.isHolding ? Math.min(TIMER_MS, pollMs) : pollMs);
    }
  }

  /** An application may use timers and fetch, so it needs Bun's event loop. A timer then checks for commands. */
  async #runServerOnBunLoop(server: EpollServer): Promise<void> {
    const timer = setInterval(() => {
      this.#onTimer();
      if (this.#isEnding) void server.stop({ graceMs: 0 });
    }, TIMER_MS);
    try {
      await server.start();
      await server.stopped;
    } finally {
      clearInterval(timer);
    }
  }

  /** The heartbeat makes an idle loop iterate, as it does without an application. Handler errors are reported. */
  get #appDefaults(): EpollServerOptions {
    return {
      heartbeat: { everyMs: this.#start.pollMs, beat() {} },
      onError: (error, request) =>
        self.postMessage({ kind: "handler-error", message: describeHandlerError(error, request) }),
    };
  }

  #onTimer(): void {
    this.#feed.onTimer();
    if (this.#hasCommands) this.#runCommands();
  }

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
    if (!this.#isEnding && this.#hasStarted && this.#stopConditions.shouldStop(event)) this.#pause();
  }

  /** Blocks the thread until a command resumes it. */
  #pause(): void {
    this.#feed.flush();
    const { breakpoints, hit } = this.#stopConditions;
    const counts = breakpoints.map(({ id, hits, ignore }) => ({ id, hits, ignore }));
    self.postMessage({ kind: "paused", breakpoint: hit, counts });
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
          self.postMessage({ kind: "value", id: command.id, text: describeValue(command.expression, this.#scope) });
          break;
        case "watched":
          this.#feed.isWatched = command.isWatched;
          break;
        case "end":
          this.#isEnding = isResumed = true;
      }
    }
    return isResumed;
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

/** Splits long waits into waits of at most `maxMs`, so that the thread can be paused while the program waits. */
function limitWaits(sys: Syscalls, maxMs: number): Syscalls {
  const epoll_wait: Syscalls["epoll_wait"] = (epfd, out, maxEvents, timeoutMs) => {
    for (let leftMs = timeoutMs < 0 ? Infinity : timeoutMs; ; leftMs -= maxMs) {
      const result = sys.epoll_wait(epfd, out, maxEvents, Math.min(leftMs, maxMs));
      if (result !== 0 || leftMs <= maxMs) return result;
    }
  };
  return {
    ...sys,
    epoll_wait,
    epoll_pwait2: (epfd, out, maxEvents, seconds, nanoseconds) =>
      epoll_wait(epfd, out, maxEvents, Math.ceil(seconds * 1000 + nanoseconds / 1e6)),
  };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
