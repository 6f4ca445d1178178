// An event stream to one page. A page that reads slowly receives fewer, merged samples, and its queue stays bounded.

import { mergeSamples } from "../debugger/sampler.ts";
import type { Message } from "./messages.ts";

/** Proxies and browsers may close a connection that stays silent for longer. */
const KEEP_ALIVE_MS = 15_000;
/** The number of messages queued in the stream before newer ones are merged. */
const MAX_QUEUED = 4;

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** Messages that did not fit in the queue: the latest of each kind, and all samples merged into one. */
  readonly #pending = new Map<string, Message>();
  readonly #keepAliveTimer: ReturnType<typeof setInterval>;

  /** @param onCancel called once, when the page disconnects */
  constructor(first: Message, onCancel: () => void) {
    this.#keepAliveTimer = setInterval(() => this.#hasRoom && this.#write(": keep-alive\n\n"), KEEP_ALIVE_MS);
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          this.send(first);
        },
        pull: () => this.#flush(),
        cancel: () => {
          this.#detach();
          onCancel();
        },
      },
      new CountQueuingStrategy({ highWaterMark: MAX_QUEUED }),
    );
  }

  send(message: Message): void {
    const pending = this.#pending.get(message.kind);
    const isMergeable = pending?.kind === "sample" && message.kind === "sample";
    this.#pending.set(
      message.kind,
      isMergeable ? { kind: "sample", sample: mergeSamples(pending.sample, message.sample) } : message,
    );
    this.#flush();
  }

  close(): void {
    const controller = this.#controller;
    this.#detach();
    try {
      controller?.close();
    } catch {
      // already closed
    }
  }

  get #hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 0) > 0;
  }

  #flush(): void {
    for (const [kind, message] of this.#pending) {
      if (!this.#hasRoom) return;
      this.#pending.delete(kind);
      this.#write(`data: ${JSON.stringify(message)}\n\n`);
    }
  }

  #write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  #detach(): void {
    clearInterval(this.#keepAliveTimer);
    this.#controller = undefined;
    this.#pending.clear();
  }
}
