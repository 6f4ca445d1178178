// class Session: a prompt in pdb's manners, over a live server or a saved trace.

import type { TraceEvent } from "../../trace/events.ts";
import { formatEvent } from "../../trace/format.ts";
import { TestClients } from "./test-clients.ts";
import { type Command, findCommand } from "./commands.ts";
import { type IterationHistory, type Iteration } from "./iteration-history.ts";
import type { Breakpoint, RunMode, Stop } from "./thread-messages.ts";
import type { TraceSource } from "./event-source.ts";

export const PROMPT = "(epoll) ";

export interface SessionOptions {
  source: TraceSource;
  history: IterationHistory;
  /** Print a line, or several. */
  print(text: string): void;
  /** Ask for the next line: what is typed comes after this. */
  prompt(): void;
  /** Masks as numbers, as the document has them. */
  isNumeric: boolean;
  /** What is asked for does not come from a terminal: it is printed, so that the session can be read. */
  echoes: boolean;
}

export class Session {
  readonly source: TraceSource;
  readonly history: IterationHistory;
  readonly clients: TestClients = new TestClients();
  readonly breakpoints: Breakpoint[] = [];
  /** By breakpoint: what is done when it stops. */
  readonly reactions: Map<number, string[]> = new Map();
  /** Expressions that each stop shows, with what they were worth. */
  readonly displays: Map<string, string> = new Map();
  readonly isNumeric: boolean;
  /** An iteration of the past that is looked at; undefined: now. */
  viewed: Iteration | undefined;
  /** The loop stands behind this one. */
  event: TraceEvent | undefined;
  hasEnded: boolean = false;
  isOver: boolean = false;

  readonly #options: SessionOptions;
  #stop: Stop | undefined;
  #last = "";
  /** Lines that are being collected for a breakpoint. */
  #collecting: { breakpoint: number; lines: string[] } | undefined;
  #hasWarned = false;
  #nextBreakpoint = 1;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.source = options.source;
    this.history = options.history;
    this.isNumeric = options.isNumeric;
  }

  /** Obey, line by line, until one says to quit or there are no more. */
  async run(lines: AsyncIterable<string>): Promise<void> {
    try {
      await this.#arrive(await this.source.stopped);
      if (!this.isOver) this.#options.prompt();
      for await (const line of lines) {
        if (this.#options.echoes) this.print(`${PROMPT}${line}`);
        await this.#obeyLine(line);
        if (this.isOver) break;
        this.#options.prompt();
      }
    } finally {
      this.clients[Symbol.dispose]();
      await this.source.end();
    }
  }

  print(text: string): void {
    this.#options.print(text);
  }

  /** Go on, and show where that leads. */
  async go(mode: RunMode): Promise<void> {
    this.viewed = undefined;
    if (this.hasEnded) {
      this.print("*** the end: there is nothing more to step through");
      return;
    }
    await this.#arrive(await this.source.go(mode));
  }

  addBreakpoint(breakpoint: Omit<Breakpoint, "id" | "hits" | "isEnabled" | "ignore">): Breakpoint {
    const added = { ...breakpoint, id: this.#nextBreakpoint++, hits: 0, isEnabled: true, ignore: 0 };
    this.breakpoints.push(added);
    this.tellBreakpoints();
    return added;
  }

  tellBreakpoints(): void {
    this.source.setBreakpoints(this.breakpoints);
  }

  /** Take the lines that follow, until `end`, as what a breakpoint does. */
  collect(breakpoint: number): void {
    this.#collecting = { breakpoint, lines: [] };
  }

  format(event: TraceEvent): string | undefined {
    return formatEvent(event, { isNumeric: this.isNumeric });
  }

  async #obeyLine(line: string): Promise<void> {
    await this.#catchUp();
    const collecting = this.#collecting;
    if (collecting !== undefined) {
      if (line.trim() !== "end") {
        collecting.lines.push(line.trim());
        return;
      }
      this.#collecting = undefined;
      this.reactions.set(collecting.breakpoint, collecting.lines);
      return;
    }
    const wanted = line.trim() === "" ? this.#last : line.trim();
    this.#last = wanted;
    for (const part of wanted.split(";;")) {
      await this.#obey(part.trim());
      if (this.isOver) return;
    }
  }

  async #obey(text: string): Promise<void> {
    if (text === "") return;
    const [, word = "", rest = ""] = /^(\?|!|[A-Za-z_]+)\s*([^]*)$/.exec(text) ?? [undefined, text, ""];
    const command: Command | undefined = findCommand(word);
    if (command === undefined) {
      this.print(`*** unknown command ${JSON.stringify(word)}: h lists them, p shows what an expression is worth`);
      return;
    }
    try {
      await command.run(this, rest.trim());
    } catch (error) {
      this.print(`*** ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Somebody else may have gone on meanwhile, in the page. */
  async #catchUp(): Promise<void> {
    const stop = await this.source.stopped;
    if (stop !== this.#stop) await this.#arrive(stop);
  }

  async #arrive(stop: Stop): Promise<void> {
    const { event, breakpoint, hasEnded } = (this.#stop = stop);
    this.event = event;
    this.hasEnded = hasEnded;
    if (hasEnded) {
      this.print("The end.");
      return;
    }
    const hit = this.breakpoints.find(({ id }) => id === breakpoint);
    if (hit !== undefined) this.print(`${hit.isTemporary ? "Temporary breakpoint" : "Breakpoint"} ${hit.id}`);
    if (hit?.isTemporary) {
      this.breakpoints.splice(this.breakpoints.indexOf(hit), 1);
      this.tellBreakpoints();
    }
    if (event !== undefined) {
      if (event.at !== undefined) this.print(`> ${event.at}`);
      this.print(this.format(event) ?? "");
    }
    if (!this.#hasWarned && this.source.place !== undefined) {
      this.#hasWarned = true;
      this.print("The loop stands still; the kernel goes on: its queues fill, and clients that wait may give up.");
    }
    for (const [expression, before] of this.displays) {
      const now = await this.source.evaluate(expression);
      if (now === before) continue;
      this.displays.set(expression, now);
      this.print(`display ${expression}: ${now}  [old: ${before}]`);
    }
    for (const line of (hit && this.reactions.get(hit.id)) ?? []) await this.#obey(line);
  }
}
