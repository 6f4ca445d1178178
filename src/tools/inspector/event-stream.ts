// class EventStream: messages to one page, as server-sent events. Who reads slowly gets fewer samples, never a longer queue.

import { mergeSamples } from "../debugger/sampler.ts";
import type { Message } from "./messages.ts";

/** A proxy or a browser that hears nothing for longer may think that nobody is there. */
const BEAT_MS = 15_000;

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** What there was no room for: of each kind the newest, and of samples the sum. */
  readonly #waiting = new Map<string, Message>();
  readonly #beat: ReturnType<typeof setInterval>;

  /** @param onEnd called once, when the page has gone */
  constructor(first: Message, onEnd: () => void) {
    this.#beat = setInterval(() => this.#hasRoom && this.#write(": here\n\n"), BEAT_MS);
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          this.tell(first);
        },
        pull: () => this.#flush(),
        cancel: () => {
          this.#stop();
          onEnd();
        },
      },
      new CountQueuingStrategy({ highWaterMark: 4 }),
    );
  }

  tell(message: Message): void {
    const before = this.#waiting.get(message.kind);
    const isSum = before?.kind === "sample" && message.kind === "sample";
    this.#waiting.set(
      message.kind,
      isSum ? { kind: "sample", sample: mergeSamples(before.sample, message.sample) } : message,
    );
    this.#flush();
  }

  end(): void {
    const controller = this.#controller;
    this.#stop();
    try {
      controller?.close();
    } catch {
      // it has ended already
    }
  }

  get #hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  #flush(): void {
    for (const [kind, message] of this.#waiting) {
      if (!this.#hasRoom) return;
      this.#waiting.delete(kind);
      this.#write(`data: ${JSON.stringify(message)}\n\n`);
    }
  }

  #write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  #stop(): void {
    clearInterval(this.#beat);
    this.#controller = undefined;
    this.#waiting.clear();
  }
}
