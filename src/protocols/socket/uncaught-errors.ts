// Errors that handlers cause outside of the run loop's calls, kept until they can be thrown.

/**
 * An error of an async handler has no caller that it could be thrown to. It is thrown by whichever comes first: the run loop's next
 * call of `rethrow`, or Bun's event loop, as an uncaught exception.
 */
export class UncaughtErrors {
  readonly #errors: unknown[] = [];

  add(error: unknown): void {
    this.#errors.push(error);
    setImmediate(() => this.rethrow());
  }

  /** Throws the oldest error, if there is one. */
  rethrow(): void {
    if (this.#errors.length > 0) throw this.#errors.shift();
  }
}
