// The protocol of a server that has one reply: reads requests up to their blank line, and answers each with the same bytes.

import { Buffer } from "node:buffer";
import type { Address } from "../address.ts";
import type { Clock } from "../clock.ts";
import type { Channel, Protocol } from "../protocol.ts";
import { findHeadEnd, parseHead, type RequestHead } from "./head.ts";
import { Reply, type StaticResponse } from "./reply.ts";

/** A request that was answered, for a log. */
export interface RequestInfo {
  /** The request's first line as it came, each byte a character; escape it before a terminal sees it. */
  readonly line: string;
  readonly method: string;
  readonly target: string;
  /** `"HTTP/1.1"`, `"HTTP/1.0"`, or `""` if the line is no request's. */
  readonly version: string;
  /** The reply's status. */
  readonly status: number;
  /** Where it came from. */
  readonly peer: Address;
}

export interface StaticProtocolOptions {
  response: StaticResponse;
  /** Whether connections stay open for a next request. */
  keepAlive: boolean;
  maxHeaderBytes: number;
  onRequest: ((request: RequestInfo) => void) | undefined;
  clock: Clock;
}

/** Replies that wait in one connection until no further request of it is answered. */
const HIGH_WATER = 262_144;

/** Input that is kept for a connection: a head that is not complete, or requests whose turn has not come. */
interface Held {
  bytes: Buffer;
  length: number;
  /** So far no head ends. */
  searched: number;
}

/**
 * Answer every request with one static response.
 *
 * HTTP/1.1 as far as that needs it: keep-alive and pipelining for requests without a body; whatever else ends with a
 * blank line is answered once and the connection closed, as in the document.
 */
export class StaticProtocol implements Protocol {
  /** Requests answered. */
  requests: number = 0;
  /** Requests refused: their head was too long, or did not become complete in time. */
  refused: number = 0;

  readonly #reply: Reply;
  readonly #refusals: { readonly 408: Reply; readonly 431: Reply };
  readonly #maxHeaderBytes: number;
  readonly #onRequest: ((request: RequestInfo) => void) | undefined;
  #keepAlive: boolean;
  // The last head that kept its connection open: one with the same bytes has the same meaning.
  #known: Buffer = Buffer.alloc(0);
  #knownHead: RequestHead | undefined;

  constructor({ response, keepAlive, maxHeaderBytes, onRequest, clock }: StaticProtocolOptions) {
    this.#reply = new Reply(response, clock);
    this.#refusals = {
      408: new Reply({ status: 408, body: "The request did not become complete in time.\n" }, clock),
      431: new Reply({ status: 431, body: `The request's head is longer than ${maxHeaderBytes} bytes.\n` }, clock),
    };
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#onRequest = onRequest;
    this.#keepAlive = keepAlive;
  }

  lap(nowMs: number): void {
    this.#reply.lap(nowMs);
    this.#refusals[408].lap(nowMs);
    this.#refusals[431].lap(nowMs);
  }

  receive(channel: Channel, bytes: Uint8Array, length: number): void {
    const held = channel.state as Held | undefined;
    if (held === undefined) {
      const taken = this.#answer(channel, bytes, 0, length);
      if (taken < length && !channel.isFinished) this.#hold(channel, bytes.subarray(taken, length));
    } else {
      append(held, bytes, length);
      this.drain(channel);
    }
  }

  drain(channel: Channel): void {
    const held = channel.state as Held | undefined;
    channel.isHeldBack = false;
    if (held === undefined) return;
    const taken = this.#answer(channel, held.bytes, held.searched, held.length);
    if (taken >= held.length || channel.isFinished) {
      channel.state = undefined;
      channel.isMidMessage = false;
    } else {
      held.bytes.copyWithin(0, taken, held.length);
      held.length -= taken;
      held.searched = channel.isHeldBack ? 0 : Math.max(0, held.length - 2);
      channel.isMidMessage = !channel.isHeldBack;
    }
  }

  timeout(channel: Channel): void {
    const held = channel.state as Held | undefined;
    if (channel.isMidMessage && held !== undefined) this.#refuse(channel, 408, held.bytes.subarray(0, held.length));
    else channel.finish(false);
  }

  stop(): void {
    this.#keepAlive = false;
  }

  /**
   * Answer the complete requests in `bytes`.
   *
   * @param searched up to here no head ends
   * @returns how many bytes were taken
   */
  #answer(channel: Channel, bytes: Uint8Array, searched: number, length: number): number {
    let position = 0;
    let plain = 0; // replies owed that keep the connection open: they go out together
    while (position < length && !channel.isFinished) {
      if (channel.pending + plain * this.#reply.plain.length >= HIGH_WATER) {
        channel.isHeldBack = true;
        break;
      }
      let head = this.#knownHead;
      let end = position + this.#known.length;
      if (head === undefined || end > length || this.#known.compare(bytes, position, end) !== 0) {
        const lineEnd = channel.messages > 0 ? lineEndAt(bytes, position, length) : 0;
        if (lineEnd > 0) {
          position += lineEnd; // some clients send one too many between two requests: RFC 9112, 2.2
          continue;
        }
        end = findHeadEnd(bytes, Math.max(position, searched), length);
        if ((end < 0 ? length : end) - position > this.#maxHeaderBytes) {
          this.#writePlain(channel, plain);
          this.#refuse(channel, 431, bytes.subarray(position, length));
          return length;
        }
        if (end < 0) break;
        head = parseHead(bytes.subarray(position, end));
        if (head.isPlain) this.#remember(bytes.subarray(position, end), head);
      }
      this.#count(channel, head); // first: a callback may stop the server
      if (this.#keepAlive && head.isPlain) {
        plain++;
      } else {
        this.#writePlain(channel, plain);
        plain = 0;
        this.#writeOther(channel, head, end === length);
      }
      position = end;
    }
    this.#writePlain(channel, plain);
    return position;
  }

  #writePlain(channel: Channel, count: number): void {
    if (count === 0) return;
    const { plain } = this.#reply;
    if (count === 1) return channel.write(plain);
    const { batch } = this.#reply;
    for (let left = count * plain.length; left > 0; left -= batch.length) {
      channel.write(batch, Math.min(left, batch.length));
    }
  }

  #writeOther(channel: Channel, { method, version, keepAlive, isLast }: RequestHead, isAll: boolean): void {
    const staysOpen = keepAlive && this.#keepAlive;
    // That it stays open, HTTP/1.1 takes for granted and HTTP/1.0 wants to hear.
    const field = !staysOpen ? "close" : version === "HTTP/1.1" ? "" : "keep-alive";
    channel.write(this.#reply.variant(field, method === "HEAD"));
    if (!staysOpen) channel.finish(isLast && isAll);
  }

  #refuse(channel: Channel, status: 408 | 431, head: Uint8Array): void {
    this.refused++;
    channel.write(this.#refusals[status].variant("close", false));
    channel.finish(false);
    if (this.#onRequest !== undefined) this.#report(channel, parseHead(head), status);
  }

  #count(channel: Channel, head: RequestHead): void {
    channel.messages++;
    this.requests++;
    if (this.#onRequest !== undefined) this.#report(channel, head, this.#reply.status);
  }

  #report({ peer }: Channel, { line, method, target, version }: RequestHead, status: number): void {
    this.#onRequest?.({ line, method, target, version, status, peer });
  }

  #remember(bytes: Uint8Array, head: RequestHead): void {
    this.#known = Buffer.from(bytes);
    this.#knownHead = head;
  }

  #hold(channel: Channel, bytes: Uint8Array): void {
    const held: Held = { bytes: Buffer.from(bytes), length: bytes.length, searched: 0 };
    held.searched = channel.isHeldBack ? 0 : Math.max(0, held.length - 2);
    channel.isMidMessage = !channel.isHeldBack;
    channel.state = held;
  }
}

/** Make room by doubling, so that a head that comes byte by byte is not copied each time. */
function append(held: Held, bytes: Uint8Array, length: number): void {
  const needed = held.length + length;
  if (needed > held.bytes.length) {
    const larger = Buffer.alloc(Math.max(needed, 2 * held.bytes.length));
    held.bytes.copy(larger, 0, 0, held.length);
    held.bytes = larger;
  }
  held.bytes.set(bytes.subarray(0, length), held.length);
  held.length = needed;
}

function lineEndAt(bytes: Uint8Array, position: number, length: number): number {
  if (bytes[position] === 10) return 1;
  return bytes[position] === 13 && position + 1 < length && bytes[position + 1] === 10 ? 2 : 0;
}
