// The place of a call in another process.

import type { CallSite } from "../caller-line.ts";

/** A place that is looked up when it is first needed. */
export class RemoteSite implements CallSite {
  #locate: (() => string | undefined) | undefined;
  #line: string | undefined;

  constructor(locate: () => string | undefined) {
    this.#locate = locate;
  }

  get line(): string | undefined {
    if (this.#locate !== undefined) {
      this.#line = this.#locate();
      this.#locate = undefined;
    }
    return this.#line;
  }
}
