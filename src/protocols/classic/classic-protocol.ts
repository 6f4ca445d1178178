// The document's own protocol: whatever ends with a blank line is a request, and gets the reply, once; then the connection ends.

import { Buffer } from "node:buffer";
import type { Clock } from "../../kernel/clock.ts";
import type { ProtocolConnection, Protocol } from "../protocol.ts";
import { requestInfo, type RequestInfo } from "../http/request-info.ts";
import { noRejections, type RejectionCounts, rejections } from "../http/rejection.ts";
import { SerializedResponse, type StaticResponse } from "../http/static-response.ts";

export interface ClassicOptions {
  response: StaticResponse;
  maxHeaderBytes: number;
  onRequest: ((request: RequestInfo) => void) | undefined;
  clock: Clock;
}

const LF = 10;
const CR = 13;

/** The beginning of a request. */
interface Held {
  bytes: Buffer;
  length: number;
}

/**
 * Answer as the document does: the request is not looked at, but for its end.
 *
 * Nothing can follow it on the same connection, so nothing can be mistaken for a request that is none. Its bounds are the
 * server's all the same: a request that is too long, or does not end in time, is refused.
 */
export class ClassicProtocol implements Protocol {
  readonly isDuplex: boolean = false;
  readonly lingers: boolean = false;
  /** Requests answered. */
  requests: number = 0;
  /** Requests refused. */
  readonly rejectedBy: RejectionCounts = noRejections();

  readonly #reply: SerializedResponse;
  readonly #tooLarge: SerializedResponse;
  readonly #tooLate: SerializedResponse;
  readonly #maxHeaderBytes: number;
  readonly #onRequest: ((request: RequestInfo) => void) | undefined;

  constructor({ response, maxHeaderBytes, onRequest, clock }: ClassicOptions) {
    const refusal = ({ status, message }: { status: number; message: string }): SerializedResponse =>
      new SerializedResponse({ status, body: `${message}\n` }, clock);
    this.#reply = new SerializedResponse(response, clock);
    this.#tooLarge = refusal(rejections["header-too-large"]);
    this.#tooLate = refusal(rejections["header-timeout"]);
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#onRequest = onRequest;
  }

  startIteration(nowMs: number): void {
    for (const reply of [this.#reply, this.#tooLarge, this.#tooLate]) reply.startIteration(nowMs);
  }

  open(): void {}

  receive(channel: ProtocolConnection, bytes: Uint8Array, length: number): void {
    const held = (channel.state ??= { bytes: Buffer.alloc(0), length: 0 }) as Held;
    const searched = Math.max(0, held.length - 2);
    append(held, bytes, length);
    const request = held.bytes.subarray(0, held.length);
    const end = endOf(request, searched);
    if ((end < 0 ? held.length : end) > this.#maxHeaderBytes) {
      this.rejectedBy["header-too-large"]++;
      this.#answer(channel, request, this.#tooLarge);
    } else if (end < 0) {
      channel.phase = "head";
    } else {
      this.requests++;
      channel.messages++;
      this.#answer(channel, request.subarray(0, end), this.#reply);
    }
  }

  end(channel: ProtocolConnection): void {
    channel.finish(true);
  }

  drain(): void {}

  timeout(channel: ProtocolConnection): void {
    const held = channel.state as Held | undefined;
    if (held === undefined) return channel.finish(false);
    this.rejectedBy["header-timeout"]++;
    this.#answer(channel, held.bytes.subarray(0, held.length), this.#tooLate);
  }

  reject(channel: ProtocolConnection): void {
    this.rejectedBy["too-many-connections"]++;
    channel.finish(false);
  }

  closed(channel: ProtocolConnection): void {
    channel.state = undefined;
  }

  stop(): void {}

  failBlocked(): boolean {
    return false;
  }

  #answer(channel: ProtocolConnection, request: Buffer, reply: SerializedResponse): void {
    const line = /^[\r\n]*([^\r\n]*)/.exec(request.toString("latin1"))?.[1] ?? "";
    channel.state = undefined;
    channel.phase = "idle";
    this.#onRequest?.({ ...requestInfo(line), status: reply.status, peer: channel.peer });
    channel.write(reply.variant("close", line.startsWith("HEAD ")));
    channel.finish(false);
  }
}

/**
 * Find the end of a request: `\n\n` or `\n\r\n`.
 *
 * @param from where to start
 * @returns the position behind it, or -1
 */
function endOf(bytes: Uint8Array, from: number): number {
  for (let i = from; i < bytes.length - 1; i++) {
    if (bytes[i] !== LF) continue;
    if (bytes[i + 1] === LF) return i + 2;
    if (bytes[i + 1] === CR && i + 2 < bytes.length && bytes[i + 2] === LF) return i + 3;
  }
  return -1;
}

/** Make room by doubling, so that a request that comes byte by byte is not copied each time. */
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
