// A test client of a server whose loop the test runs: it sends pieces and parses the responses strictly.

import { ErrnoError, IPPROTO_TCP, SHUT_WR, type Socket, TCP_NODELAY, WOULD_BLOCK } from "../../../src/index.ts";
import type { Expected, Kind } from "./case.ts";
import { parseResponse, ResponseError, type ParsedResponse } from "./parse-response.ts";
import type { Served } from "./servers.ts";

/** Iterations of a millisecond each, without any event, after which waiting fails. */
const MAX_QUIET_ITERATIONS = 5_000;
/** Iterations without any event after which nothing more is expected. */
const QUIET_ITERATIONS = 4;

const buffer = Buffer.from(new ArrayBuffer(262_144));

export class ConformanceClient implements Disposable {
  readonly #served: Served;
  readonly #socket: Socket;
  readonly #isAsync: boolean;
  readonly #allowsContinue: boolean;
  readonly #maxQuietIterations: number;
  #bytes: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #at = 0;

  /** @param allowsContinue whether `100 Continue` is skipped */
  constructor(served: Served, kind: Kind, allowsContinue: boolean, maxQuietIterations: number = MAX_QUIET_ITERATIONS) {
    this.#served = served;
    this.#isAsync = kind !== "static";
    this.#allowsContinue = allowsContinue;
    this.#maxQuietIterations = maxQuietIterations;
    this.#socket = served.harness.client();
    this.#socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
  }

  /** Everything that was received, for a message. */
  get received(): string {
    return this.#bytes.toString("latin1");
  }

  /** Sends the pieces; the server receives each one before the next is sent. Stops if the server has closed. */
  async send(pieces: readonly string[]): Promise<void> {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece, "latin1");
      for (let sent = 0; sent < bytes.length && !this.#isEnded;) {
        const n = this.#sendSome(bytes.subarray(sent));
        if (n > 0) sent += n;
        await this.#iteration(0);
      }
    }
  }

  end(): void {
    if (!this.#isEnded) this.#socket.shutdown(SHUT_WR);
  }

  /** Waits for as many responses as are expected. */
  async responses(expected: readonly Expected[]): Promise<ParsedResponse[]> {
    const read: ParsedResponse[] = [];
    await this.#until(() => {
      for (let next; (next = expected[read.length]) !== undefined;) {
        const response = parseResponse(this.#bytes, this.#at, next, this.#isEnded);
        if (response === undefined) break;
        this.#at = response.end;
        if (!(this.#allowsContinue && response.status === 100)) read.push(response);
      }
      if (read.length < expected.length && this.#isEnded)
        throw this.#error(`${read.length} responses instead of ${expected.length}`);
      return read.length === expected.length;
    }, `${expected.length} responses`);
    return read;
  }

  /** Checks that nothing more arrives, and that the connection stays open. */
  async expectQuiet(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_ITERATIONS;) quiet = (await this.#iteration(0)) ? 0 : quiet + 1;
    if (this.#allowsContinue) this.#skipContinue();
    if (this.#at < this.#bytes.length) throw this.#error("received more than expected");
    if (this.#isEnded) throw this.#error("the connection has closed");
  }

  /** Waits for the connection to close, and checks that nothing arrives before that. */
  async waitForClose(): Promise<void> {
    await this.#until(() => this.#isEnded, "the end");
    if (this.#at < this.#bytes.length) throw this.#error("received more than expected before the end");
  }

  /** Closes the connection, and waits until the server has, too. */
  async close(): Promise<void> {
    this.#socket.close();
    const { server } = this.#served.harness;
    await this.#until(() => server.stats.open === 0, "the close of the connection on the server");
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  /** Runs one iteration of the server and receives; returns whether anything happened. */
  async #iteration(timeoutMs: number): Promise<boolean> {
    const { server } = this.#served.harness;
    let events = server.tick(timeoutMs);
    if (this.#isAsync) {
      await new Promise(setImmediate);
      events += server.tick(0);
    }
    return this.#receive() || events > 0;
  }

  async #until(isDone: () => boolean, what: string): Promise<void> {
    for (let quiet = 0; !isDone();) {
      if (quiet > this.#maxQuietIterations) throw this.#error(`${what} did not arrive`);
      quiet = (await this.#iteration(quiet < QUIET_ITERATIONS ? 0 : 1)) ? 0 : quiet + 1;
    }
  }

  #receive(): boolean {
    if (this.#isEnded || this.#socket.closed) return false;
    const parts = [this.#bytes];
    try {
      for (let n; (n = this.#socket.recvInto(buffer)) !== WOULD_BLOCK;) {
        if (n === 0) {
          this.#isEnded = true;
          break;
        }
        parts.push(Buffer.from(buffer.subarray(0, n)));
      }
    } catch (error) {
      if (error instanceof ErrnoError) throw this.#error(error.code);
      throw error;
    }
    if (parts.length > 1) this.#bytes = Buffer.concat(parts);
    return this.#isEnded || parts.length > 1;
  }

  #sendSome(bytes: Uint8Array): number {
    try {
      const n = this.#socket.send(bytes);
      return n === WOULD_BLOCK ? 0 : n;
    } catch (error) {
      if (error instanceof ErrnoError) throw this.#error(`${error.code} while sending`);
      throw error;
    }
  }

  #skipContinue(): void {
    const response = parseResponse(this.#bytes, this.#at, {}, this.#isEnded);
    if (response?.status === 100) this.#at = response.end;
  }

  #error(what: string): ResponseError {
    const rest = this.#bytes.toString("latin1", this.#at, this.#at + 300);
    const before = this.#bytes.toString("latin1", 0, Math.min(this.#at, 200));
    return new ResponseError(`${what}; unread: ${JSON.stringify(rest)}, after ${JSON.stringify(before)}`);
  }
}
