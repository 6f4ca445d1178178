// The memory budget of a server: counts the bytes that wait in its buffers.

/**
 * Counts the bytes that a server keeps for its connections: output that the kernel has not taken, and request bodies
 * that their handlers have not read. When there are too many, new requests are rejected.
 */
export class BufferBudget {
  readonly maxBytes: number;
  #used = 0;
  #isWarningDue = false;
  #hasWarned = false;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get used(): number {
    return this.#used;
  }

  get isExceeded(): boolean {
    return this.#used > this.maxBytes;
  }

  /** Counts bytes; a negative number releases them. */
  add(bytes: number): void {
    this.#used += bytes;
    if (this.#hasWarned) this.#hasWarned = this.#used > this.maxBytes / 2;
    else if (this.isExceeded) this.#hasWarned = this.#isWarningDue = true;
  }

  /** Returns whether a warning is due: once each time the budget is exceeded, after at most half of it was in use. */
  takeWarning(): boolean {
    const isDue = this.#isWarningDue;
    this.#isWarningDue = false;
    return isDue;
  }
}
