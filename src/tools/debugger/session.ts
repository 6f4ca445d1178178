// class Session: the prompt of the debugger, with the habits of pdb and gdb, for a live target or a recorded trace.

import type { TraceEvent } from "../../trace/events.ts";
import { formatEvent } from "../../trace/format.ts";
import { describeBreakpoint } from "./breakpoint-location.ts";
import { isJavaScript, splitCommands } from "./command-syntax.ts";
import { commandLike, findCommand } from "./commands/help.ts";
import { commands } from "./commands/index.ts";
import { completeLine } from "./completion.ts";
import type { Command, DebuggerContext } from "./context.ts";
import { Evaluator } from "./evaluate.ts";
import type { TraceSource } from "./event-source.ts";
import type { Iteration, IterationHistory } from "./iteration-history.ts";
import type { BlockedWait } from "./interruptible-wait.ts";
import type { PromptInput } from "./prompt-input.ts";
import { SourceViewer } from "./source-viewer.ts";
import { TestClients } from "./test-clients.ts";
import type { Breakpoint, RunMode, StackFrame, Stop } from "./thread-messages.ts";

export const PROMPT = "(epoll) ";
const COMMANDS_PROMPT = "(com) ";

const PAUSED_NOTICE = "The loop is paused, the kernel is not: receive queues fill up and waiting clients may time out.";
const RUNNING_NOTICE = "The program is running; Ctrl-C interrupts it.";
const EXIT_NOTICE = "Ctrl-C again, Ctrl-D or q quits.";
/** The exit code after a second Ctrl-C: 128 + SIGINT. */
const INTERRUPTED_EXIT_CODE = 130;

/** How long a line waits for the command before it, before it is answered that the program is running. */
const TYPE_AHEAD_MS = 250;
/** The same after a step, which usually ends soon: the original program waits for one second. */
const STEP_TYPE_AHEAD_MS = 1_500;
/** How long an interrupted program or expression may take to pause, before the prompt says what it does. */
const INTERRUPT_TIMEOUT_MS = 500;
/** Pauses and steps that are controlled by the page are printed if they last this long: slow motion has many. */
const PAGE_NOTICE_MS = 100;

/** What is debugged, and the events that it has reported. */
export interface Debuggee {
  source: TraceSource;
  history: IterationHistory;
  /** The file of the program or application; undefined for a server without one. */
  program: string | undefined;
}

export interface SessionOptions {
  debuggee: Debuggee;
  /** Starts the debuggee again. It is called after the earlier one has ended. */
  restart(): Promise<Debuggee>;
  /** Prints one or more lines. */
  print(text: string): void;
  /** Called before each line is read. */
  flush(): void;
  /** Print masks as numbers. */
  isNumeric: boolean;
}

export class Session implements DebuggerContext {
  source: TraceSource;
  history: IterationHistory;
  sources: SourceViewer;
  clients: TestClients = new TestClients();
  readonly displays: Map<string, string> = new Map();
  readonly isNumeric: boolean;
  viewed: Iteration | undefined;
  event: TraceEvent | undefined;
  stack: readonly StackFrame[] = [];
  frame: number = 0;
  hasEnded: boolean = false;
  isOver: boolean = false;
  /** Set if the session has been ended by Ctrl-C. */
  exitCode: number | undefined;

  readonly #options: SessionOptions;
  #input: PromptInput | undefined;
  #breakpoints: Breakpoint[] = [];
  #nextBreakpointId = 1;
  /** The commands of breakpoints, by breakpoint id. */
  readonly #breakpointCommands = new Map<number, string[]>();
  /** The lines that are being collected for a breakpoint. */
  #collected: { breakpoint: number; lines: string[] } | undefined;
  /** The commands of the breakpoint that was hit. */
  #queue: string[] = [];
  /** What a blank line runs. */
  #repeated = "";
  /** The command that is running. */
  #inProgress: Promise<void> | undefined;
  #question: ((answer: string | undefined) => void) | undefined;
  /** The number of times that Ctrl-C was typed during the command, or since the last line. */
  #interrupts = 0;
  /** When the session itself has sent SIGINT. */
  #signaledMs = -Infinity;
  #interruptTimer: ReturnType<typeof setTimeout> | undefined;
  #pageTimer: ReturnType<typeof setTimeout> | undefined;
  #isGoing = false;
  #isStepping = false;
  #stop: Stop | undefined;
  /** The page has resumed the target, and the prompt has said so. */
  #isResumedByPage = false;
  #hasPrintedNotice = false;
  /** The thread of another process that has paused last. */
  #tid: number | undefined;
  /** Evaluates expressions while a past iteration is viewed. */
  readonly #evaluator: Evaluator = new Evaluator((text) => this.#printBesidePrompt(text));

  constructor(options: SessionOptions) {
    this.#options = options;
    const { source, history, program } = options.debuggee;
    this.source = source;
    this.history = history;
    this.sources = new SourceViewer(program, this.#isLive);
    this.isNumeric = options.isNumeric;
  }

  get breakpoints(): readonly Breakpoint[] {
    return this.#breakpoints;
  }

  get #isLive(): boolean {
    return this.source.location !== undefined;
  }

  get #isTerminal(): boolean {
    return this.#input?.isTerminal === true;
  }

  /** Runs the commands, line by line, until the session is over or the input ends. */
  async run(input: PromptInput): Promise<void> {
    this.#input = input;
    try {
      await this.#start(async () => this.#onStop(await this.source.stopped));
      for await (const line of input.lines) {
        await this.#onLine(line);
        if (this.isOver) break;
      }
    } finally {
      this.isOver = true;
      clearTimeout(this.#interruptTimer);
      clearTimeout(this.#pageTimer);
      this.#question?.(undefined);
      this.clients[Symbol.dispose]();
      await this.source.end(this.exitCode !== undefined);
    }
  }

  /**
   * To be called when Ctrl-C is typed. The first time, the program, the expression or the question is interrupted. The second time,
   * the session ends, whatever is running.
   */
  interrupt(): void {
    if (++this.#interrupts > 1) {
      this.exitCode = INTERRUPTED_EXIT_CODE;
      this.isOver = true;
      this.#input?.close();
      return;
    }
    if (this.#question !== undefined) {
      this.#question(undefined);
    } else if (this.source.isEvaluating) {
      this.#signaledMs = performance.now();
      this.source.interruptEvaluation();
      this.#afterInterrupt(() => this.source.isEvaluating, "The expression does not respond.");
    } else if (this.source.isRunning) {
      this.source.pause("prompt");
      this.#afterInterrupt(
        () => this.source.isRunning,
        () => this.source.describeActivity(),
      );
    } else if (this.#inProgress === undefined) {
      this.#collected = undefined;
      this.print(`\n${EXIT_NOTICE}`);
      this.#prompt();
    }
  }

  /** To be called when SIGINT is received. The signal that interrupts an expression may arrive here, if the expression has just ended. */
  onInterruptSignal(): void {
    if (performance.now() - this.#signaledMs > INTERRUPT_TIMEOUT_MS) this.interrupt();
  }

  /** To be called when the target has paused, resumed or ended, or its breakpoints have changed, on whatever request. */
  onSourceState(): void {
    if (this.#isGoing || this.#pageTimer !== undefined || this.isOver || this.#input === undefined) return;
    this.#pageTimer = setTimeout(() => {
      this.#pageTimer = undefined;
      void this.#showPageState();
    }, PAGE_NOTICE_MS);
  }

  /** Prints the value of a promise that has settled after its expression was evaluated. */
  onSettled(text: string): void {
    this.#printBesidePrompt(text);
  }

  /** Returns the words that complete a line, and the end of the line that they replace. */
  complete(line: string): Promise<[words: string[], end: string]> {
    const isPaused = !this.source.isRunning && !this.hasEnded;
    return completeLine(line, commands, (expression) =>
      isPaused ? this.source.propertyNames(expression) : Promise.resolve([]),
    );
  }

  readonly print = (text: string): void => this.#options.print(text);

  async confirm(question: string, ifNobodyAnswers: boolean): Promise<boolean> {
    if (!this.#isTerminal) return ifNobodyAnswers;
    for (let text = `${question} (y or n) `; ; text = "Please answer y or n. ") {
      const { promise, resolve } = Promise.withResolvers<string | undefined>();
      this.#question = resolve;
      this.#options.flush();
      this.#input?.prompt(text);
      const answer = (await promise)?.trim().toLowerCase();
      this.#question = undefined;
      if (answer === undefined || answer === "n" || answer === "no") return false;
      if (answer === "y" || answer === "yes") return true;
    }
  }

  format(event: TraceEvent): string | undefined {
    return formatEvent(event, { isNumeric: this.isNumeric });
  }

  async go(mode: RunMode): Promise<void> {
    this.viewed = undefined;
    if (this.hasEnded) {
      throw new Error(
        `nothing to continue: ${this.#isLive ? "the program" : "the trace"} has ended (run starts again)`,
      );
    }
    const { source } = this;
    this.#isGoing = true;
    this.#isStepping = mode.kind !== "continue";
    try {
      const go = (): Promise<Stop> => source.go(mode, "prompt");
      const stop = await (this.#isLive || this.#input === undefined ? go() : this.#input.blocking(go));
      if (source === this.source) await this.#onStop(stop);
    } finally {
      this.#isGoing = this.#isStepping = false;
    }
  }

  async evaluate(code: string): Promise<string> {
    const { viewed } = this;
    const evaluate = (): Promise<string> =>
      viewed === undefined
        ? this.source.evaluate(code)
        : Promise.resolve(this.#evaluator.run(code, this.history.scopeOf(viewed)));
    const isHere = viewed !== undefined || !this.#isLive;
    return await (isHere && this.#input !== undefined ? this.#input.blocking(evaluate) : evaluate());
  }

  addBreakpoint(breakpoint: Pick<Breakpoint, "on" | "value" | "condition" | "isTemporary">): Breakpoint {
    const added = { ...breakpoint, id: this.#nextBreakpointId++, hits: 0, isEnabled: true, ignore: 0 };
    this.#breakpoints.push(added);
    this.updateBreakpoints();
    return added;
  }

  deleteBreakpoint(breakpoint: Breakpoint): void {
    this.#breakpoints.splice(this.#breakpoints.indexOf(breakpoint), 1);
    this.#breakpointCommands.delete(breakpoint.id);
    this.updateBreakpoints();
  }

  updateBreakpoints(): void {
    this.source.setBreakpoints(this.#breakpoints);
  }

  collectCommands(breakpoint: number): void {
    this.#collected = { breakpoint, lines: [] };
    this.print("Type the commands for each hit of the breakpoint, one on each line, and end after them.");
  }

  async restart(): Promise<void> {
    const { source } = this;
    this.#isGoing = true;
    try {
      this.clients[Symbol.dispose]();
      await source.end(true);
      const debuggee = await this.#options.restart();
      this.source = debuggee.source;
      this.history = debuggee.history;
      this.sources = new SourceViewer(debuggee.program, this.#isLive);
      this.clients = new TestClients();
      this.viewed = undefined;
      for (const breakpoint of this.#breakpoints) breakpoint.hits = 0;
      this.updateBreakpoints();
      await this.#onStop(await this.source.stopped);
    } finally {
      this.#isGoing = false;
    }
  }

  // ---- lines ----

  async #onLine(line: string): Promise<void> {
    if (!this.#isTerminal) this.print(`${this.#promptText}${line}`);
    if (this.#question !== undefined) return this.#question(line);
    if (this.#inProgress !== undefined) {
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, this.#isStepping ? STEP_TYPE_AHEAD_MS : TYPE_AHEAD_MS);
      await Promise.race([this.#inProgress, timeout.promise]);
      clearTimeout(timer);
      if (this.isOver) return;
    }
    this.#interrupts = 0;
    if (this.#inProgress === undefined) await this.#start(() => this.#runLine(line));
    else void this.#runBesideCommand(line);
  }

  /** Runs a command, and shows the prompt after it. At a terminal, lines can be typed meanwhile. */
  async #start(run: () => Promise<void>): Promise<void> {
    const command = run()
      .then(() => this.#runQueue())
      .catch((error: unknown) => this.#printError(error))
      .finally(() => {
        this.#inProgress = undefined;
        this.#interrupts = 0;
        clearTimeout(this.#interruptTimer);
        if (this.isOver) this.#input?.close();
        else this.#prompt();
      });
    this.#inProgress = command;
    if (!this.#isTerminal) await command;
  }

  async #runLine(line: string): Promise<void> {
    if (!this.#isTerminal) await this.source.stopped; // a page may have resumed the target
    await this.#catchUp();
    const text = line.trim();
    if (this.#collected !== undefined) return this.#collect(this.#collected, text);
    const typed = text === "" ? this.#repeated : text;
    const parts = splitCommands(typed);
    this.#repeated = parts.every(isRepeatable) ? typed : "";
    for (const part of parts) {
      await this.#runCommand(part);
      if (this.isOver) return;
    }
  }

  /** Runs the commands of the breakpoint that was hit, and of those that are hit then. */
  async #runQueue(): Promise<void> {
    for (let part; !this.isOver && (part = this.#queue.shift()) !== undefined;) await this.#runCommand(part);
  }

  /** Runs a line while another command is running: most commands need a paused program. */
  async #runBesideCommand(line: string): Promise<void> {
    for (const part of splitCommands(line.trim())) {
      if (parseCommand(part)?.command.worksWhileRunning === true) await this.#runCommand(part);
      else
        this.print(
          this.source.isEvaluating ? "An expression is being evaluated; Ctrl-C interrupts it." : RUNNING_NOTICE,
        );
    }
    if (this.isOver) this.#input?.close();
    else this.#prompt();
  }

  #collect({ breakpoint, lines }: { breakpoint: number; lines: string[] }, text: string): void {
    if (text !== "end") lines.push(text);
    // As in pdb: after a command that resumes, no other one would run.
    const isLast = text === "end" || parseCommand(text)?.command.resumes === true;
    if (!isLast) return;
    this.#collected = undefined;
    this.#breakpointCommands.set(breakpoint, lines);
  }

  async #runCommand(text: string): Promise<void> {
    const parsed = parseCommand(text);
    try {
      if (parsed === undefined) return await this.#runStatement(text);
      const { command, argument } = parsed;
      if (argument !== "" && !command.usage.includes(" ")) {
        throw new Error(`${command.usage} takes no argument; received ${argument}`);
      }
      if (this.source.isRunning && command.worksWhileRunning !== true) return this.print(RUNNING_NOTICE);
      await command.run(this, argument);
    } catch (error) {
      this.#printError(error);
    }
  }

  async #runStatement(text: string): Promise<void> {
    if (this.source.isRunning) return this.print(RUNNING_NOTICE);
    const value = await this.evaluate(text);
    if (value === "undefined" || this.isOver) return;
    const isError = /^\*\*\* (?:ReferenceError|SyntaxError)/.test(value);
    const similar = isError ? commandLike(commands, /^\w+/.exec(text)?.[0] ?? "") : undefined;
    this.print(similar === undefined ? value : `${value} (did you mean the command ${similar}?)`);
  }

  #printError(error: unknown): void {
    if (!this.isOver) this.print(`*** ${error instanceof Error ? error.message : String(error)}`);
  }

  // ---- the prompt ----

  get #promptText(): string {
    if (this.#collected !== undefined) return COMMANDS_PROMPT;
    return this.viewed === undefined ? PROMPT : `(epoll, viewing #${this.viewed.iteration}) `;
  }

  #prompt(): void {
    this.#options.flush();
    this.#input?.prompt(this.#promptText);
  }

  /** Prints while the prompt is shown. */
  #printBesidePrompt(text: string): void {
    if (this.isOver) return;
    if (this.#inProgress === undefined) this.#input?.clear();
    this.print(text);
    if (this.#inProgress === undefined) this.#prompt();
  }

  #afterInterrupt(isStillRunning: () => boolean, describe: string | (() => string)): void {
    clearTimeout(this.#interruptTimer);
    this.#interruptTimer = setTimeout(() => {
      if (!isStillRunning() || this.isOver) return;
      this.print(`${typeof describe === "string" ? describe : describe()} Ctrl-C again or q ends the session.`);
      this.#prompt();
    }, INTERRUPT_TIMEOUT_MS);
  }

  // ---- pauses ----

  /** The page may have resumed and paused the target since the last command. */
  async #catchUp(): Promise<void> {
    const { stop } = this.source;
    if (stop !== undefined && stop !== this.#stop) await this.#onStop(stop);
  }

  /** Says that the page has resumed the target, or where it has paused. */
  async #showPageState(): Promise<void> {
    const { stop, isRunning } = this.source;
    if (this.#isGoing || this.isOver || this.#inProgress !== undefined) return;
    if (isRunning && !this.#isResumedByPage) {
      this.#isResumedByPage = true;
      this.#printBesidePrompt("The page has resumed the program.");
    } else if (stop !== undefined && stop !== this.#stop) {
      this.#input?.clear();
      await this.#start(() => this.#catchUp());
    }
  }

  async #onStop(stop: Stop): Promise<void> {
    if (this.isOver) return;
    this.#stop = stop;
    const { event, hasEnded, stack } = stop;
    this.event = event;
    this.hasEnded = hasEnded;
    this.stack = stack;
    this.frame = 0;
    this.#isResumedByPage = false;
    this.sources.reset();
    if (hasEnded) return this.print(this.#endText);
    const hit = this.#breakpoints.find(({ id }) => id === stop.breakpoint);
    const [first, ...others] = (hit && this.#breakpointCommands.get(hit.id)) ?? [];
    const isSilent = first === "silent";
    if (!isSilent) await this.#printStop(stop, hit);
    if (hit?.isTemporary) this.deleteBreakpoint(hit);
    if (first !== undefined) this.#queue = isSilent ? others : [first, ...others];
  }

  get #endText(): string {
    if (!this.#isLive) return "End of the trace.";
    const { exitCode, signal } = this.source;
    if (signal !== undefined) return `The program was ended by ${signal}.`;
    return exitCode === undefined
      ? this.source.pid === undefined
        ? "The server has stopped."
        : "Detached: the program goes on."
      : `The program exited with code ${exitCode}.`;
  }

  async #printStop(stop: Stop, hit: Breakpoint | undefined): Promise<void> {
    const { event, stack, reason, by, breakpoint, thread } = stop;
    const name = hit?.isTemporary ? "Temporary breakpoint" : hit?.on === "watch" ? "Watch" : "Breakpoint";
    const fromPage = this.source.pageBreakpoints.find(({ id }) => id === breakpoint);
    const title =
      hit !== undefined ? `${name} ${hit.id}` : fromPage && `${describeBreakpoint(fromPage)}, set on the page`;
    if (title !== undefined) this.print(reason.detail === undefined ? title : `${title}: ${reason.detail}`);
    else if (by === "page" && reason.kind === "pause") this.print("Paused by the page");
    else if (by === "page") this.print("The page has stepped");
    const { waitsIn } = reason;
    const [caller] = stack;
    const inner = caller === undefined || waitsIn === undefined ? event?.at : `${caller.file}:${caller.line}`;
    const position = stop.position ?? inner;
    if (thread !== undefined && thread.tid !== this.#tid) {
      // As gdb does. The first pause is no switch.
      if (this.#tid !== undefined)
        this.print(`[Switching to process ${thread.pid}${thread.tid === thread.pid ? "" : `, thread ${thread.tid}`}]`);
      this.#tid = thread.tid;
    }
    if (position !== undefined && waitsIn !== "bun") {
      this.print(`> ${position}`);
      const line = this.sources.lineAt(position);
      if (line !== undefined) this.print(`-> ${line}`);
    }
    if (waitsIn === "code") this.print("running its own code: no system call that is traced is in progress");
    else if (waitsIn === "bun") this.print("waiting in Bun's event loop: no event has happened");
    else if (waitsIn !== undefined) this.print(`waiting in ${describeWait(waitsIn)}: no fd is ready`);
    else if (event !== undefined) this.print(this.format(event) ?? "");
    if (!this.#hasPrintedNotice && this.#isLive) {
      this.#hasPrintedNotice = true;
      this.print(PAUSED_NOTICE);
    }
    await this.#printDisplays();
  }

  async #printDisplays(): Promise<void> {
    for (const [expression, before] of this.displays) {
      const now = await this.evaluate(expression);
      if (now === before) continue;
      this.displays.set(expression, now);
      this.print(`display ${expression}: ${now}  [old: ${before}]`);
    }
  }
}

function describeWait({ call, epfd, timeoutMs }: BlockedWait): string {
  const name = call ?? "epoll_wait";
  return epfd < 0 ? `${name}, with a timeout of ${timeoutMs} ms` : `${name}(${epfd}, ${timeoutMs})`;
}

/** Returns the command of a line and its argument; undefined if the line is JavaScript. */
function parseCommand(text: string): { command: Command; argument: string } | undefined {
  const [, word = "", argument = ""] = /^(\?|!|[A-Za-z_]+)\s*([^]*)$/.exec(text) ?? [];
  const command = findCommand(commands, word);
  if (command === undefined || isJavaScript(word, text.slice(word.length))) return undefined;
  return { command, argument: argument.trim() };
}

function isRepeatable(text: string): boolean {
  const parsed = parseCommand(text);
  return parsed !== undefined && parsed.command.isRepeatable !== false;
}
