// class TraceText: a trace as lines of text, with repeated calls and iterations collapsed.

import type { TraceEvent } from "../trace/events.ts";
import { formatEvent } from "../trace/format.ts";

const INDENT = "      ";
/** Iterations are collapsed if they follow each other within this time, or if their wait returned nothing. */
const MAX_GAP_US = 100_000;
/** How many times an iteration is printed before its repeats are collapsed. Of waits that returned nothing, only the first is printed. */
const MIN_PRINTED = 2;
/** Longer iterations are not compared. */
const MAX_ITERATION_LINES = 500;
/** How long repeats are counted before the number is printed. Each further number follows after twice the time. */
const FIRST_COUNT_US = 1_000_000;

export interface TraceTextOptions {
  /** Print masks as numbers. */
  isNumeric: boolean;
  /** Begin each line with the time since the previous event, in seconds. */
  hasTimestamps: boolean;
  /** Called for each line, and with the type of its event; undefined for a number of repeats. */
  print(line: string, type: TraceEvent["type"] | undefined): void;
}

interface Line {
  /** What two lines that repeat each other have in common. */
  key: string;
  text: string;
  type: TraceEvent["type"] | undefined;
}

export class TraceText {
  readonly #options: TraceTextOptions;
  #previousUs = 0;
  /** The thread of the last event; undefined: the trace has only one. */
  #tid: number | undefined;
  /** There are several threads or processes: each line begins with its own. */
  #hasOrigin = false;
  /** The last call, and how often it has been repeated. */
  #call: Line | undefined;
  #callRepeats = new Repeats();
  #repeatedCall: Line | undefined;
  /** The keys of the previous iteration; undefined if it was too long. */
  #previous: string[] | undefined;
  /** The keys of this iteration, from its wait on. */
  #current: string[] = [];
  /** This iteration equals the previous one so far. */
  #isSame = false;
  #hasWait = false;
  #waitUs = 0;
  /** The number of equal iterations before this one. */
  #sameCount = 0;
  /** The lines of this iteration, which are not printed as long as it may be a repeat; undefined: it is printed. */
  #held: Line[] | undefined;
  /** The iterations that have not been printed, and the lines of the last one. */
  #repeats = new Repeats();
  #repeated: Line[] = [];

  constructor(options: TraceTextOptions) {
    this.#options = options;
  }

  add(event: TraceEvent): void {
    if (event.tid !== this.#tid) this.#switchThread(event.tid);
    const text = formatEvent(event, { isNumeric: this.#options.isNumeric, hasOrigin: this.#hasOrigin });
    if (text === undefined) {
      if (event.type === "iteration") this.#endCalls();
      return;
    }
    const line: Line = { key: keyOf(event, text), text: `${this.#timestamp(event.us)}${text}`, type: event.type };
    if (event.type === "wait") {
      this.#endCalls();
      this.#endIteration();
      this.#beginIteration(event.events.length === 0, event.us);
    } else if (event.type === "warning" || event.type === "dropped") {
      this.#endCalls();
      this.#release();
      this.#print(line);
      return;
    } else if (line.key === this.#call?.key) {
      this.#repeatedCall = line;
      const count = this.#callRepeats.add(event.us);
      if (count === undefined) return;
      this.#release();
      this.#print(repeatLine(count, this.#indent));
      return;
    }
    this.#endCalls();
    this.#call = event.type === "wait" ? undefined : line;
    this.#callRepeats = new Repeats(event.us);
    this.#addLine(line);
  }

  /** The iterations of threads are not collapsed across each other: the lines stay in their order. */
  #switchThread(tid: number | undefined): void {
    this.end();
    this.#previous = undefined;
    this.#sameCount = 0;
    this.#hasOrigin ||= this.#tid !== undefined && tid !== undefined;
    this.#tid = tid;
  }

  /** Prints what is left. */
  end(): void {
    this.#endCalls();
    this.#endIteration();
    this.#release();
  }

  get #indent(): string {
    return this.#options.hasTimestamps ? `${" ".repeat(TIMESTAMP_WIDTH)}${INDENT}` : INDENT;
  }

  #timestamp(us: number): string {
    if (!this.#options.hasTimestamps) return "";
    const delta = Math.max(0, us - this.#previousUs);
    this.#previousUs = us;
    return `${(delta / 1e6).toFixed(6).padStart(TIMESTAMP_WIDTH - 1)} `;
  }

  /** Ends a run of equal calls. A call that is repeated once is printed twice. */
  #endCalls(): void {
    const repeated = this.#repeatedCall;
    const { count } = this.#callRepeats;
    const rest = this.#callRepeats.takeUnprinted();
    this.#call = undefined;
    this.#repeatedCall = undefined;
    if (repeated === undefined) return;
    if (count === 1) this.#addLine(repeated);
    else if (rest !== undefined)
      this.#addLine({ ...repeatLine(rest, this.#indent), key: `${repeated.key} × ${count}` });
  }

  #addLine(line: Line): void {
    if (this.#hasWait) {
      this.#isSame &&= this.#previous?.[this.#current.length] === line.key;
      if (this.#current.length < MAX_ITERATION_LINES) this.#current.push(line.key);
      else this.#isSame = false;
    }
    if (!this.#isSame) this.#release();
    if (this.#held === undefined) this.#print(line);
    else this.#held.push(line);
  }

  #beginIteration(isEmptyWait: boolean, us: number): void {
    const isSoon = us - this.#waitUs < MAX_GAP_US;
    this.#hasWait = this.#isSame = true;
    this.#waitUs = us;
    const mayBeRepeat = isEmptyWait ? this.#sameCount >= 1 : isSoon && this.#sameCount >= MIN_PRINTED;
    if (mayBeRepeat) this.#held = [];
    else this.#release();
  }

  /** Ends an iteration, which may have been a repeat. */
  #endIteration(): void {
    if (!this.#hasWait) return;
    const isSame = this.#isSame && this.#current.length === this.#previous?.length;
    this.#sameCount = isSame ? this.#sameCount + 1 : 1;
    if (!isSame) this.#release();
    if (this.#held !== undefined) {
      this.#repeated = this.#held;
      this.#held = undefined;
      const count = this.#repeats.add(this.#waitUs);
      if (count !== undefined) this.#print(repeatLine(count, this.#indent));
    } else {
      this.#repeats = new Repeats(this.#waitUs);
    }
    this.#previous = this.#current.length < MAX_ITERATION_LINES ? this.#current : undefined;
    this.#current = [];
    this.#hasWait = false;
  }

  /** Prints the number of repeats so far, and the lines of this iteration, which is not another one. */
  #release(): void {
    const { count } = this.#repeats;
    const rest = this.#repeats.takeUnprinted();
    if (count === 1) for (const line of this.#repeated) this.#print(line);
    else if (rest !== undefined) this.#print(repeatLine(rest, this.#indent));
    this.#repeats = new Repeats(this.#waitUs);
    this.#repeated = [];
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const line of held) this.#print(line);
  }

  #print({ text, type }: Pick<Line, "text" | "type">): void {
    this.#options.print(text, type);
  }
}

/** As wide as the times of `strace -r`. */
const TIMESTAMP_WIDTH = 13;

/** Waits differ in their number, in the time that is left until a deadline, and in when they returned. */
function keyOf(event: TraceEvent, text: string): string {
  return event.type === "wait" ? `${event.call ?? ""} ${event.epfd} ${event.result} ${event.events.join()}` : text;
}

function repeatLine({ count, us }: { count: number; us: number }, indent: string): Line {
  const text = `${indent}… repeated × ${count.toLocaleString("en-US")} (${(us / 1e6).toFixed(1)} s)`;
  return { key: "", text, type: undefined };
}

/** A run of repeats. */
class Repeats {
  count = 0;
  readonly #startUs: number;
  #lastUs: number;
  #printedCount = 0;
  #nextCountUs = FIRST_COUNT_US;

  constructor(startUs: number = 0) {
    this.#startUs = this.#lastUs = startUs;
  }

  /** Counts a repeat. Returns the number so far and their duration, when it is time to print them. */
  add(us: number): { count: number; us: number } | undefined {
    this.count++;
    this.#lastUs = us;
    if (us - this.#startUs < this.#nextCountUs || this.count === 1) return undefined;
    this.#nextCountUs = 2 * (us - this.#startUs);
    return this.takeUnprinted();
  }

  /** Returns the same, unless it has been printed. */
  takeUnprinted(): { count: number; us: number } | undefined {
    if (this.#printedCount === this.count) return undefined;
    this.#printedCount = this.count;
    return { count: this.count, us: this.#lastUs - this.#startUs };
  }
}
