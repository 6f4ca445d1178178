// One connection to a server that is driven iteration by iteration: sends pieces, and reads replies as strictly as can be.

import { ErrnoError, IPPROTO_TCP, SHUT_WR, type Socket, TCP_NODELAY, WOULD_BLOCK } from "../../../src/index.ts";
import type { Due, Kind } from "./case.ts";
import { readReply, ReplyError, type ReplyRead } from "./replies.ts";
import type { Served } from "./servers.ts";

/** So many iterations in which nothing happens, before what is waited for will not come; an iteration waits for a millisecond. */
const PATIENCE = 5_000;
/** So many, before nothing more comes. */
const QUIET = 4;

const buffer = Buffer.from(new ArrayBuffer(262_144));

export class Talk implements Disposable {
  readonly #served: Served;
  readonly #socket: Socket;
  readonly #isAsync: boolean;
  readonly #mayContinue: boolean;
  readonly #patience: number;
  #bytes: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #at = 0;

  /** @param mayContinue whether `100 Continue` is passed over */
  constructor(served: Served, kind: Kind, mayContinue: boolean, patience: number = PATIENCE) {
    this.#served = served;
    this.#isAsync = kind !== "static";
    this.#mayContinue = mayContinue;
    this.#patience = patience;
    this.#socket = served.stage.client();
    this.#socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
  }

  /** All that came, for a message. */
  get received(): string {
    return this.#bytes.toString("latin1");
  }

  /** Send the pieces, each seen by the server before the next; no more of them once it has closed. */
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

  /** The replies to these, each whole; fails if others come instead. */
  async replies(due: readonly Due[]): Promise<ReplyRead[]> {
    const read: ReplyRead[] = [];
    await this.#until(() => {
      for (let asked; (asked = due[read.length]) !== undefined;) {
        const reply = readReply(this.#bytes, this.#at, asked, this.#isEnded);
        if (reply === undefined) break;
        this.#at = reply.end;
        if (!(this.#mayContinue && reply.status === 100)) read.push(reply);
      }
      if (read.length < due.length && this.#isEnded) throw this.#error(`${read.length} replies, and not ${due.length}`);
      return read.length === due.length;
    }, `${due.length} replies`);
    return read;
  }

  /** Nothing more comes, not even the end. */
  async isQuiet(): Promise<void> {
    for (let quiet = 0; quiet < QUIET;) quiet = (await this.#iteration(0)) ? 0 : quiet + 1;
    if (this.#mayContinue) this.#passContinue();
    if (this.#at < this.#bytes.length) throw this.#error("more than was due");
    if (this.#isEnded) throw this.#error("closed");
  }

  /** The end comes, and nothing before it. */
  async isClosed(): Promise<void> {
    await this.#until(() => this.#isEnded, "the end");
    if (this.#at < this.#bytes.length) throw this.#error("more than was due, before the end");
  }

  /** Close, and have the server notice. */
  async close(): Promise<void> {
    this.#socket.close();
    const { server } = this.#served.stage;
    await this.#until(() => server.stats.open === 0, "the server to let go of the connection");
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  /** All that can be done now, on both sides; whether there was anything. */
  async #iteration(timeoutMs: number): Promise<boolean> {
    const { server } = this.#served.stage;
    let events = server.tick(timeoutMs);
    if (this.#isAsync) {
      await new Promise(setImmediate);
      events += server.tick(0);
    }
    return this.#receive() || events > 0;
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    for (let quiet = 0; !isSo();) {
      if (quiet > this.#patience) throw this.#error(`waited in vain for ${what}`);
      quiet = (await this.#iteration(quiet < QUIET ? 0 : 1)) ? 0 : quiet + 1;
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

  #passContinue(): void {
    const reply = readReply(this.#bytes, this.#at, {}, this.#isEnded);
    if (reply?.status === 100) this.#at = reply.end;
  }

  #error(what: string): ReplyError {
    const rest = this.#bytes.toString("latin1", this.#at, this.#at + 300);
    const before = this.#bytes.toString("latin1", 0, Math.min(this.#at, 200));
    return new ReplyError(`${what}; unread: ${JSON.stringify(rest)}, after ${JSON.stringify(before)}`);
  }
}
