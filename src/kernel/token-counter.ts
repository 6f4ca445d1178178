// Tokens for epoll registrations: 32-bit numbers that tell apart registrations of the same fd.

const MAX_TOKEN = 0xffffffff;

/**
 * Counts from `first` to 2^32 - 1 and then starts again: a token is not reused while its registration can still exist.
 */
export class TokenCounter {
  readonly #first: number;
  #next: number;

  constructor(first: number) {
    this.#first = first;
    this.#next = first;
  }

  next(): number {
    const token = this.#next;
    this.#next = token === MAX_TOKEN ? this.#first : token + 1;
    return token;
  }
}
