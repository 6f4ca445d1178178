// class Evaluator: runs the JavaScript of the prompt, of conditions and of displays, and keeps the variables that it declares.

import { drainMicrotasks } from "bun:jsc";
import vm from "node:vm";
import { formatMask } from "../../kernel/format-mask.ts";
import type { TraceEvent } from "../../trace/events.ts";
import type { FdEntry } from "./fd-table.ts";

/** The state of the loop that an expression can refer to. */
export interface ExpressionScope {
  /** `event`: the last event. */
  event: TraceEvent | undefined;
  /** `events`: the ready list of this iteration. */
  ready: readonly [fd: number, mask: number][];
  /** `iteration`: the number of this iteration. */
  iteration: number;
  /** `ep`: the fd of the epoll instance. */
  epfd: number;
  /** `fds` and `fd(N)`: the open fds. */
  entries: readonly FdEntry[];
  /** `server`: the EpollServer, if one is debugged. */
  server?: unknown;
}

/** The property of the global object through which an interruptible script reaches the function that it calls. */
const RUNNER = Symbol.for("epoll-hello debugger");
const RUN = 'globalThis[Symbol.for("epoll-hello debugger")]()';
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const MAX_NAMES = 2_000;
/** The declarations that the transpiler moves out of the script, so that they outlast it. */
const HOISTED = /^var ([\w$, ]+);\n/;

type Compiled = (scope: object) => unknown;

export class Evaluator {
  readonly #variables: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  readonly #compiled = new Map<string, Compiled>();
  readonly #onSettled: (text: string) => void;
  #transpiler: Bun.Transpiler | undefined;

  /** @param onSettled called with the value of a promise that has settled after `run` has returned */
  constructor(onSettled: (text: string) => void) {
    this.#onSettled = onSettled;
  }

  /**
   * Runs statements, and returns the value of the last one as text. An error becomes a line that begins with `***`, as in pdb. A SIGINT
   * ends the script. The variables that it declares can be used by later ones.
   *
   * A script with `await` runs until it has to wait for an event, because the event loop of a paused thread does not run.
   */
  run(code: string, scope: ExpressionScope): string {
    try {
      const script = this.#toScript(code);
      const result = interruptible(() => this.#runScript(script, scope));
      return result instanceof Promise ? this.#describePromise(result) : Bun.inspect(valueOf(result));
    } catch (error) {
      return describeError(error);
    }
  }

  /**
   * Evaluates a condition.
   *
   * @throws whatever the expression throws
   */
  isTrue(condition: string, scope: ExpressionScope): boolean {
    return Boolean(this.#compile(condition)(this.#names(scope)));
  }

  /** Returns the value of an expression as text. An error becomes text as well. */
  describeValue(expression: string, scope: ExpressionScope): string {
    try {
      return Bun.inspect(this.#compile(expression)(this.#names(scope)));
    } catch (error) {
      return describeError(error);
    }
  }

  /** Returns the names of the properties of an expression's value; the names in scope if the expression is empty. */
  propertyNames(expression: string, scope: ExpressionScope): string[] {
    try {
      const names = this.#names(scope);
      if (expression === "") return [...Object.keys(names), ...Object.getOwnPropertyNames(globalThis)];
      const found = new Set<string>();
      const value = this.#compile(expression)(names);
      for (let object: unknown = Object(value ?? {}); object !== null; object = Object.getPrototypeOf(object)) {
        for (const name of Object.getOwnPropertyNames(object)) if (IDENTIFIER.test(name)) found.add(name);
      }
      return [...found].slice(0, MAX_NAMES);
    } catch {
      return [];
    }
  }

  /** Returns JavaScript that returns `{ value }`, or a promise of it, and assigns its variables instead of declaring them. */
  #toScript(code: string): string {
    this.#transpiler ??= new Bun.Transpiler({ loader: "ts", replMode: true } as Bun.TranspilerOptions);
    const transpiled = this.#transpiler.transformSync(code).trim();
    const [hoisted = "", names = ""] = HOISTED.exec(transpiled) ?? [];
    for (const name of names.split(", ")) if (name !== "") this.#variables[name] ??= undefined;
    return transpiled.slice(hoisted.length);
  }

  #runScript(script: string, scope: ExpressionScope): unknown {
    const names = this.#names(scope);
    const variables = this.#variables;
    const assignable = new Proxy(names, {
      set(target, name, value) {
        if (!(name in target) || name in variables) variables[String(name)] = value;
        return Reflect.set(target, name, value);
      },
    });
    // oxlint-disable-next-line typescript/no-implied-eval -- as in #compile; unlike a script of node:vm, it can import modules
    return new Function(`with (this) { return ${script || "undefined"} }`).call(assignable);
  }

  #names({ event, ready, iteration, epfd, entries, server }: ExpressionScope): Record<string, unknown> {
    let list: Record<string, unknown>[] | undefined;
    const describe = (): Record<string, unknown>[] =>
      (list ??= entries.map((entry) => ({
        ...entry,
        mask: entry.mask === undefined ? undefined : formatMask(entry.mask),
      })));
    const names = {
      event,
      events: ready,
      iteration,
      ep: epfd,
      get fds() {
        return Object.fromEntries(describe().map((entry) => [entry["fd"], entry]));
      },
      fd: (number: number) => describe().find((entry) => entry["fd"] === number),
      server,
    };
    return Object.defineProperties(names, Object.getOwnPropertyDescriptors(this.#variables)) as Record<string, unknown>;
  }

  #compile(expression: string): Compiled {
    let compiled = this.#compiled.get(expression);
    if (compiled === undefined) {
      // oxlint-disable-next-line typescript/no-implied-eval -- users evaluate expressions in their own process, at their own terminal
      compiled = new Function("$scope", `with ($scope) { return (${expression}\n) }`) as Compiled;
      this.#compiled.set(expression, compiled);
    }
    return compiled;
  }

  #describePromise(promise: Promise<unknown>): string {
    let settled: string | undefined;
    let isLate = false;
    const settle = (text: string): void => {
      settled = text;
      if (isLate) this.#onSettled(text);
    };
    promise.then(
      (result) => settle(Bun.inspect(valueOf(result))),
      (error: unknown) => settle(describeError(error)),
    );
    interruptible(drainMicrotasks);
    if (settled !== undefined) return settled;
    isLate = true;
    return "the promise is pending: its value is printed when the program, once resumed, has settled it";
  }
}

/** Whether an error is that of a function that SIGINT has ended. */
export function isInterruption(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_INTERRUPTED";
}

/** Calls a function so that a SIGINT ends it, in whatever thread: only a script of node:vm can be interrupted. */
export function interruptible<T>(run: () => T): T {
  const global = globalThis as Record<symbol, unknown>;
  global[RUNNER] = run;
  try {
    return vm.runInThisContext(RUN, { breakOnSigint: true }) as T;
  } finally {
    delete global[RUNNER];
  }
}

function valueOf(result: unknown): unknown {
  return (result as { value?: unknown } | undefined)?.value;
}

function describeError(error: unknown): string {
  if (isInterruption(error)) return "*** interrupted";
  return `*** ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
}
