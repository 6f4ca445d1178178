// class MessageReplay: what a page that joins a shared stream must receive first, as if it had its own stream.

import type { Sample } from "../../debugger/sampler.ts";
import type { Hello } from "../messages.ts";
import type { StreamMessage } from "./event-subscription.ts";

/** The events that a new page receives: as many as from the server. */
const MAX_EVENTS = 3_000;

export class MessageReplay {
  #hello: Hello | undefined;
  #samples: Sample[] = [];
  #eventCount = 0;
  /** The last news about the connection. */
  #connection: StreamMessage | undefined;

  add(message: StreamMessage): void {
    switch (message.kind) {
      case "hello":
        this.#hello = message;
        this.#samples = [];
        this.#eventCount = 0;
        for (const sample of message.samples) this.#addSample(sample);
        return;
      case "sample":
        return this.#addSample(message.sample);
      case "state":
        if (this.#hello !== undefined) this.#hello = { ...this.#hello, state: message };
        return;
      case "test-clients":
        if (this.#hello !== undefined) this.#hello = { ...this.#hello, testClients: message.testClients };
        return;
      default:
        this.#connection = message;
    }
  }

  /** The messages that bring a new page up to date. */
  get messages(): StreamMessage[] {
    const hello: StreamMessage[] = this.#hello === undefined ? [] : [{ ...this.#hello, samples: this.#samples }];
    return this.#connection === undefined ? hello : [...hello, this.#connection];
  }

  #addSample(sample: Sample): void {
    this.#samples.push(sample);
    this.#eventCount += sample.events.length;
    while (this.#samples.length > 1 && (this.#eventCount > MAX_EVENTS || this.#samples.length > MAX_EVENTS)) {
      this.#eventCount -= this.#samples.shift()?.events.length ?? 0;
    }
  }
}
