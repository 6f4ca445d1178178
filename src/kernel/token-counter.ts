// Tokens for epoll registrations: 32-bit numbers that tell apart registrations of the same fd.

const MAX_TOKEN = 0xffffffff;

/**
 * Counts from `first` to 2^32 - 1, then starts over, so a token is not reused while its registration can still exist.
 */
export class TokenCounter {
  readonly #first: number;
  #next: number;

  /** @param next the first token to return, for tests of the wrap-around */
  constructor(first: number, next: number = first) {
    this.#first = first;
    this.#next = next;
  }

  /** Returns the next token. */
  next(): number {
    const token = this.#next;
    this.#next = token === MAX_TOKEN ? this.#first : token + 1;
    return token;
  }
}
