// class Session: the prompt of the debugger, similar to pdb's, for a live target or a recorded trace.

import type { TraceEvent } from "../../trace/events.ts";
import { formatEvent } from "../../trace/format.ts";
import { commands } from "./commands/index.ts";
import { findCommand } from "./commands/help.ts";
import type { DebuggerContext } from "./context.ts";
import type { TraceSource } from "./event-source.ts";
import type { Iteration, IterationHistory } from "./iteration-history.ts";
import { TestClients } from "./test-clients.ts";
import type { Breakpoint, RunMode, Stop } from "./thread-messages.ts";

export const PROMPT = "(epoll) ";

const PAUSED_NOTICE = "The loop is paused, the kernel is not: receive queues fill up and waiting clients may time out.";

export interface SessionOptions {
  source: TraceSource;
  history: IterationHistory;
  /** Prints one or more lines. */
  print(text: string): void;
  /** Called before each line is read. */
  prompt(): void;
  /** Print masks as numbers. */
  isNumeric: boolean;
  /** Print the lines that are read, because the input is not a terminal that shows them. */
  echoes: boolean;
}

export class Session implements DebuggerContext {
  readonly source: TraceSource;
  readonly history: IterationHistory;
  readonly clients: TestClients = new TestClients();
  readonly displays: Map<string, string> = new Map();
  readonly isNumeric: boolean;
  viewed: Iteration | undefined;
  event: TraceEvent | undefined;
  hasEnded: boolean = false;
  isOver: boolean = false;

  readonly #options: SessionOptions;
  readonly #breakpoints: Breakpoint[] = [];
  #nextBreakpointId = 1;
  /** The commands of breakpoints, by breakpoint id. */
  readonly #breakpointCommands = new Map<number, string[]>();
  /** The lines that are being collected for a breakpoint. */
  #collected: { breakpoint: number; lines: string[] } | undefined;
  #lastLine = "";
  #stop: Stop | undefined;
  #hasPrintedNotice = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.source = options.source;
    this.history = options.history;
    this.isNumeric = options.isNumeric;
  }

  get breakpoints(): readonly Breakpoint[] {
    return this.#breakpoints;
  }

  get #isLive(): boolean {
    return this.source.location !== undefined;
  }

  /** Runs the commands, line by line, until the session is over or the input ends. */
  async run(lines: AsyncIterable<string>): Promise<void> {
    try {
      await this.#onStop(await this.source.stopped);
      if (!this.isOver) this.#options.prompt();
      for await (const line of lines) {
        if (this.#options.echoes) this.print(`${PROMPT}${line}`);
        await this.#runLine(line);
        if (this.isOver) break;
        this.#options.prompt();
      }
    } finally {
      this.clients[Symbol.dispose]();
      await this.source.end();
    }
  }

  readonly print = (text: string): void => this.#options.print(text);

  format(event: TraceEvent): string | undefined {
    return formatEvent(event, { isNumeric: this.isNumeric });
  }

  async go(mode: RunMode): Promise<void> {
    this.viewed = undefined;
    if (this.hasEnded) throw new Error(`nothing to continue: ${this.#isLive ? "the program" : "the trace"} has ended`);
    await this.#onStop(await this.source.go(mode));
  }

  addBreakpoint(breakpoint: Pick<Breakpoint, "on" | "value" | "condition" | "isTemporary">): Breakpoint {
    const added = { ...breakpoint, id: this.#nextBreakpointId++, hits: 0, isEnabled: true, ignore: 0 };
    this.#breakpoints.push(added);
    this.updateBreakpoints();
    return added;
  }

  deleteBreakpoint(breakpoint: Breakpoint): void {
    this.#breakpoints.splice(this.#breakpoints.indexOf(breakpoint), 1);
    this.updateBreakpoints();
  }

  updateBreakpoints(): void {
    this.source.setBreakpoints(this.#breakpoints);
  }

  collectCommands(breakpoint: number): void {
    this.#collected = { breakpoint, lines: [] };
  }

  async #runLine(line: string): Promise<void> {
    await this.#catchUp();
    const text = line.trim();
    if (this.#collected !== undefined) return this.#collect(this.#collected, text);
    if (text !== "") this.#lastLine = text;
    for (const part of this.#lastLine.split(";;")) {
      await this.#runCommand(part.trim());
      if (this.isOver) return;
    }
  }

  #collect({ breakpoint, lines }: { breakpoint: number; lines: string[] }, text: string): void {
    if (text !== "end") {
      lines.push(text);
      return;
    }
    this.#collected = undefined;
    this.#breakpointCommands.set(breakpoint, lines);
  }

  async #runCommand(text: string): Promise<void> {
    if (text === "") return;
    const [, word = "", argument = ""] = /^(\?|!|[A-Za-z_]+)\s*([^]*)$/.exec(text) ?? [undefined, text, ""];
    try {
      await findCommand(commands, word).run(this, argument.trim());
    } catch (error) {
      this.print(`*** ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** The inspector may have resumed and paused the target since the last command. */
  async #catchUp(): Promise<void> {
    const stop = await this.source.stopped;
    if (stop !== this.#stop) await this.#onStop(stop);
  }

  async #onStop(stop: Stop): Promise<void> {
    const { event, breakpoint, hasEnded } = (this.#stop = stop);
    this.event = event;
    this.hasEnded = hasEnded;
    if (hasEnded) {
      this.print(this.#isLive ? "The program has ended." : "End of the trace.");
      return;
    }
    const hit = this.#breakpoints.find(({ id }) => id === breakpoint);
    if (hit !== undefined) this.print(`${hit.isTemporary ? "Temporary breakpoint" : "Breakpoint"} ${hit.id}`);
    if (hit?.isTemporary) this.deleteBreakpoint(hit);
    if (event !== undefined) {
      if (event.at !== undefined) this.print(`> ${event.at}`);
      this.print(this.format(event) ?? "");
    }
    if (!this.#hasPrintedNotice && this.#isLive) {
      this.#hasPrintedNotice = true;
      this.print(PAUSED_NOTICE);
    }
    await this.#printDisplays();
    for (const line of (hit && this.#breakpointCommands.get(hit.id)) ?? []) await this.#runCommand(line);
  }

  async #printDisplays(): Promise<void> {
    for (const [expression, before] of this.displays) {
      const now = await this.source.evaluate(expression);
      if (now === before) continue;
      this.displays.set(expression, now);
      this.print(`display ${expression}: ${now}  [old: ${before}]`);
    }
  }
}
