// Run control of a debugged loop: pause, resume, slow motion and the breakpoints set in the page.

import { errnoName } from "../../kernel/errno.ts";
import { formatMask } from "../../kernel/format-mask.ts";
import type { Target } from "../debugger/target.ts";
import type { Breakpoint, Controller, RunMode } from "../debugger/thread-messages.ts";
import type { ListedBreakpoint, LoopState } from "./messages.ts";

const MAX_BREAKPOINTS = 50;
/** Breakpoints set in the page have their own range of ids, apart from the terminal debugger's. */
const FIRST_BREAKPOINT_ID = 10_000;

export class RunControl implements Disposable {
  readonly #target: Target;
  readonly #onChange: () => void;
  #isPausing = false;
  /** Events per second in slow motion; 0: full speed. */
  #speed = 0;
  #slowMotionTimer: ReturnType<typeof setTimeout> | undefined;
  /** How to resume after a pause that is on its way. */
  #nextMode: RunMode | undefined;
  #breakpoints: Breakpoint[] = [];
  #nextBreakpointId = FIRST_BREAKPOINT_ID;
  /** The loop has run since the target was started. */
  #hasRun = false;

  /** @param onChange called whenever `state` changes */
  constructor(target: Target, onChange: () => void) {
    this.#target = target;
    this.#onChange = onChange;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#slowMotionTimer);
  }

  get state(): LoopState {
    const target = this.#target;
    const run = target.state === "starting" ? "running" : target.state;
    const waitsIn = target.stop?.reason.waitsIn;
    return {
      kind: "state",
      run: run === "running" && this.#isPausing ? "pausing" : run,
      seq: target.stop?.event?.seq,
      breakpoint: target.stop?.breakpoint,
      reason: this.#reason,
      waitsIn: typeof waitsIn === "object" ? waitsIn.epfd : waitsIn === "bun" ? waitsIn : undefined,
      speed: this.#speed,
      breakpoints: this.#listed,
      error: target.error,
    };
  }

  /** What the page has done that would stop or slow down the loop if there were no page; undefined if there is nothing. */
  get hold(): string | undefined {
    const { state } = this.#target;
    if (state === "ended" || state === "starting") return undefined;
    const count = this.#breakpoints.length;
    const parts = [
      state === "paused" || this.#isPausing ? "paused" : "",
      this.#speed > 0 ? "in slow motion" : "",
      count > 0 ? `with ${count} ${count === 1 ? "breakpoint" : "breakpoints"}` : "",
    ].filter((part) => part !== "");
    return parts.length === 0 ? undefined : parts.join(" and ");
  }

  get hasBreakpoints(): boolean {
    return this.#breakpoints.length > 0;
  }

  /** The loop is in slow motion. */
  get isSlow(): boolean {
    return this.#speed > 0;
  }

  /**
   * Undoes everything that stops or slows down the loop.
   *
   * @param resumes also resume the loop if it is paused
   */
  release(resumes: boolean): void {
    this.#breakpoints = [];
    this.#applyBreakpoints();
    if (resumes || this.#speed > 0) this.resume({ kind: "continue" });
  }

  resume(mode: RunMode): void {
    // A pause may be on its way, or in slow motion, a step in progress. Then the loop resumes when it has paused.
    const isTransient = this.#target.state === "running" && (this.#speed > 0 || this.#isPausing);
    this.#nextMode = isTransient ? mode : undefined;
    this.#speed = 0;
    this.#isPausing = false;
    void this.#target.go(mode, "page");
    this.#onChange();
  }

  pause(): void {
    this.#nextMode = undefined;
    this.#speed = 0;
    this.#isPausing = this.#target.state === "running";
    this.#target.pause("page");
    this.#onChange();
  }

  /** Starts slow motion; 0 returns to full speed. */
  setSpeed(eventsPerSecond: number): void {
    if (eventsPerSecond === 0) return this.resume({ kind: "continue" });
    this.#speed = eventsPerSecond;
    if (this.#target.state === "running") {
      this.#isPausing = true;
      this.#target.pause("page");
    } else {
      this.#stepInSlowMotion();
    }
    this.#onChange();
  }

  /** Returns the breakpoint's id, or undefined if there are too many. */
  addBreakpoint(on: Breakpoint["on"], value: number | string): number | undefined {
    if (this.#breakpoints.length >= MAX_BREAKPOINTS) return undefined;
    const id = this.#nextBreakpointId++;
    this.#breakpoints.push({
      id,
      on,
      value,
      condition: undefined,
      isTemporary: false,
      isEnabled: true,
      ignore: 0,
      hits: 0,
    });
    this.#applyBreakpoints();
    return id;
  }

  removeBreakpoint(id: number): void {
    this.#breakpoints = this.#breakpoints.filter((breakpoint) => breakpoint.id !== id);
    this.#applyBreakpoints();
  }

  /** To be called when the target pauses, resumes or ends. */
  onTargetState(): void {
    const target = this.#target;
    if (target.state === "running") this.#hasRun = true;
    else this.#isPausing = false;
    this.#onChange();
    if (target.state !== "paused") return;
    const isAtBreakpoint = target.stop?.breakpoint !== undefined;
    const mode = this.#nextMode;
    if (mode !== undefined) {
      this.#nextMode = undefined;
      if (!isAtBreakpoint) void target.go(mode, "page");
    } else if (this.#speed > 0) {
      // A breakpoint ends slow motion.
      if (isAtBreakpoint) this.#speed = 0;
      else this.#slowMotionTimer ??= setTimeout(() => this.#stepInSlowMotion(), 1000 / this.#speed);
    }
  }

  get #listed(): ListedBreakpoint[] {
    const list = (owner: Controller): ListedBreakpoint[] =>
      this.#target.breakpointsOf(owner).map(({ id, on, value, hits, condition, isEnabled }) => {
        return { id, on, value, hits, condition, isEnabled, owner };
      });
    return [...list("page"), ...list("prompt")];
  }

  get #reason(): string | undefined {
    const { breakpoint: id, by, reason } = this.#target.stop ?? {};
    const breakpoint = this.#listed.find((one) => one.id === id);
    const name = breakpoint === undefined ? `temporary breakpoint ${id}` : describeBreakpoint(breakpoint);
    switch (reason?.kind) {
      case undefined:
      case "ended":
        return undefined;
      case "breakpoint":
        return `Paused on ${name}`;
      case "failed-condition":
        return `Paused because the condition of ${name} failed: ${reason.detail}`;
      case "watch":
        return `Paused because a value changed: ${reason.detail}`;
      case "blocked":
        return "Paused because no file descriptor is ready";
      case "pause":
        return this.#speed > 0 ? "Slow motion" : `Paused by the ${by}`;
      case "step":
        if (this.#speed > 0) return "Slow motion";
        return this.#hasRun ? "Paused after a step" : "Paused at the start";
    }
  }

  #stepInSlowMotion(): void {
    clearTimeout(this.#slowMotionTimer);
    this.#slowMotionTimer = undefined;
    if (this.#speed > 0 && this.#target.state === "paused") void this.#target.go({ kind: "step" }, "page");
  }

  #applyBreakpoints(): void {
    this.#target.setBreakpoints(this.#breakpoints, "page"); // which calls onTargetState
  }
}

/** Returns `breakpoint 1: accept` for one of the prompt, and `page breakpoint 1: accept` for one of the page. */
function describeBreakpoint({ id, on, value, condition, owner }: ListedBreakpoint): string {
  const name = owner === "page" ? `page breakpoint ${id - FIRST_BREAKPOINT_ID + 1}` : `breakpoint ${id}`;
  return `${name}: ${describeLocation(on, value)}${condition === undefined ? "" : ` if ${condition}`}`;
}

function describeLocation(on: Breakpoint["on"], value: number | string): string {
  switch (on) {
    case "mask":
      return formatMask(Number(value));
    case "errno":
      return errnoName(Number(value));
    case "event":
      return String(value);
    default:
      return `${on} ${value}`;
  }
}
