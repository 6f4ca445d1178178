// Helpers for tests of ProcessEngine: what a traced program does, collected.

import { type DecodedCall } from "../../../src/trace/processes/decoded-call.ts";
import {
  type EngineHandlers,
  type EngineOptions,
  type HeldThread,
  ProcessEngine,
  type TraceeEnd,
} from "../../../src/trace/processes/engine.ts";
import type { TraceDetail } from "../../../src/trace/events.ts";
import { EPOLLIN, watch } from "../../../src/index.ts";

/** A traced program whose events are collected. */
export class Traced implements Disposable {
  readonly engine: ProcessEngine;
  readonly calls: DecodedCall[] = [];
  readonly entries: DecodedCall[] = [];
  readonly held: HeldThread[] = [];
  readonly notices: string[] = [];
  end: TraceeEnd | undefined;
  error: Error | undefined;
  readonly #watch: ReturnType<typeof watch>;
  #waiting: (() => void)[] = [];

  constructor(options: EngineOptions = {}, handlers: Partial<EngineHandlers> = {}) {
    this.engine = new ProcessEngine(
      {
        onCall: (call) => {
          this.calls.push(call.data === undefined ? call : { ...call, data: call.data.slice() });
          return handlers.onCall?.(call);
        },
        onWaitEntry: (call) => void this.entries.push(call),
        onHeld: (held) => void this.held.push(held),
        onNotice: (text) => void this.notices.push(text),
        onEnd: (end) => (this.end = end),
        onError: (error) => (this.error = error),
      },
      options,
    );
    this.#watch = watch(this.engine.fileno(), EPOLLIN, () => {
      this.engine.drain();
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const check of waiting) check();
    });
  }

  /** Waits until `condition` holds; it is checked after each batch of events. */
  async until(condition: () => unknown): Promise<void> {
    while (!condition()) {
      if (this.error !== undefined) throw this.error;
      if (this.end !== undefined) throw new Error(`the program has ended: ${JSON.stringify(this.end)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Waits until the program has ended. */
  async ended(): Promise<TraceeEnd> {
    await this.until(() => this.end);
    if (this.error !== undefined) throw this.error;
    return this.end as TraceeEnd;
  }

  /** The events of one type. */
  of<Type extends TraceDetail["type"]>(type: Type): Extract<TraceDetail, { type: Type }>[] {
    return this.calls.flatMap(({ detail }) => (detail.type === type ? [detail as never] : []));
  }

  [Symbol.dispose](): void {
    this.#watch.close();
    this.engine.close();
  }
}
