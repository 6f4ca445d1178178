// Run control of a debugged loop: pause, resume, slow motion and the breakpoints set in the page.

import type { Target } from "../debugger/target.ts";
import type { Breakpoint, RunMode } from "../debugger/thread-messages.ts";
import type { LoopState } from "./messages.ts";

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
  /** How to resume after the current step of slow motion. */
  #nextMode: RunMode | undefined;
  #breakpoints: Breakpoint[] = [];
  #nextBreakpointId = FIRST_BREAKPOINT_ID;

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
    return {
      kind: "state",
      run: run === "running" && this.#isPausing ? "pausing" : run,
      seq: target.stop?.event?.seq,
      breakpoint: target.stop?.breakpoint,
      speed: this.#speed,
      breakpoints: this.#breakpoints.map(({ id, on, value, hits }) => ({ id, on, value, hits })),
      error: target.error,
    };
  }

  resume(mode: RunMode): void {
    // In slow motion, a step may be in progress. Then the loop resumes when that step has ended.
    this.#nextMode = this.#speed > 0 && this.#target.state === "running" ? mode : undefined;
    this.#speed = 0;
    this.#isPausing = false;
    void this.#target.go(mode);
    this.#onChange();
  }

  pause(): void {
    this.#nextMode = undefined;
    this.#speed = 0;
    this.#isPausing = this.#target.state === "running";
    this.#target.pause();
    this.#onChange();
  }

  /** Starts slow motion; 0 returns to full speed. */
  setSpeed(eventsPerSecond: number): void {
    if (eventsPerSecond === 0) return this.resume({ kind: "continue" });
    this.#speed = eventsPerSecond;
    if (this.#target.state === "running") {
      this.#isPausing = true;
      this.#target.pause();
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
    if (target.state !== "running") this.#isPausing = false;
    this.#onChange();
    if (target.state !== "paused") return;
    const isAtBreakpoint = target.stop?.breakpoint !== undefined;
    const mode = this.#nextMode;
    if (mode !== undefined) {
      this.#nextMode = undefined;
      if (!isAtBreakpoint) void target.go(mode);
    } else if (this.#speed > 0) {
      // A breakpoint ends slow motion.
      if (isAtBreakpoint) this.#speed = 0;
      else this.#slowMotionTimer ??= setTimeout(() => this.#stepInSlowMotion(), 1000 / this.#speed);
    }
  }

  #stepInSlowMotion(): void {
    clearTimeout(this.#slowMotionTimer);
    this.#slowMotionTimer = undefined;
    if (this.#speed > 0 && this.#target.state === "paused") void this.#target.go({ kind: "step" });
  }

  #applyBreakpoints(): void {
    this.#target.setBreakpoints(this.#breakpoints, "page");
    this.#onChange();
  }
}
