// The protocol of the original program: a blank line ends the request; after the response, the connection ends.

import { Buffer } from "node:buffer";
import type { Clock } from "../../kernel/clock.ts";
import type { ConnectionRejection, Protocol, ProtocolConnection } from "../protocol.ts";
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

/** The part of a request that has been received so far. */
interface PartialRequest {
  bytes: Buffer;
  length: number;
}

/**
 * Responds as the original program does: it only looks for the end of a request.
 *
 * A connection carries one request, so nothing after it can be mistaken for another. Unlike the original, it has limits: a
 * request that is too long, or not complete in time, is rejected.
 */
export class ClassicProtocol implements Protocol {
  readonly lingers: boolean = false;
  /** Requests that got the response. */
  requests: number = 0;
  readonly rejectedBy: RejectionCounts = noRejections();

  readonly #response: SerializedResponse;
  readonly #tooLarge: SerializedResponse;
  readonly #tooLate: SerializedResponse;
  readonly #maxHeaderBytes: number;
  readonly #onRequest: ((request: RequestInfo) => void) | undefined;

  constructor({ response, maxHeaderBytes, onRequest, clock }: ClassicOptions) {
    const rejection = ({ status, message }: { status: number; message: string }): SerializedResponse =>
      new SerializedResponse({ status, body: `${message}\n` }, clock);
    this.#response = new SerializedResponse(response, clock);
    this.#tooLarge = rejection(rejections["header-too-large"]);
    this.#tooLate = rejection(rejections["header-timeout"]);
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#onRequest = onRequest;
  }

  updateTime(nowMs: number): void {
    for (const response of [this.#response, this.#tooLarge, this.#tooLate]) response.updateDate(nowMs);
  }

  open(): void {}

  receive(connection: ProtocolConnection, bytes: Uint8Array, length: number): void {
    const partial = (connection.protocolState ??= { bytes: Buffer.alloc(0), length: 0 }) as PartialRequest;
    const searched = Math.max(0, partial.length - 2);
    append(partial, bytes, length);
    const request = partial.bytes.subarray(0, partial.length);
    const end = findEnd(request, searched);
    if ((end < 0 ? partial.length : end) > this.#maxHeaderBytes) {
      this.rejectedBy["header-too-large"]++;
      this.#respond(connection, request, this.#tooLarge);
    } else if (end < 0) {
      connection.phase = "head";
    } else {
      this.requests++;
      connection.messages++;
      this.#respond(connection, request.subarray(0, end), this.#response);
    }
  }

  end(connection: ProtocolConnection): void {
    connection.finish(true);
  }

  drain(): void {}

  timeout(connection: ProtocolConnection): void {
    const partial = connection.protocolState as PartialRequest | undefined;
    if (partial === undefined) return connection.finish(false);
    this.rejectedBy["header-timeout"]++;
    this.#respond(connection, partial.bytes.subarray(0, partial.length), this.#tooLate);
  }

  reject(connection: ProtocolConnection, reason: ConnectionRejection): void {
    this.rejectedBy[reason]++;
    connection.finish(false);
  }

  closed(connection: ProtocolConnection): void {
    connection.protocolState = undefined;
  }

  stop(): void {}

  endIteration(): void {}

  failBlockedRequests(): boolean {
    return false;
  }

  #respond(connection: ProtocolConnection, request: Buffer, response: SerializedResponse): void {
    const line = /^[\r\n]*([^\r\n]*)/.exec(request.toString("latin1"))?.[1] ?? "";
    connection.protocolState = undefined;
    connection.phase = "idle";
    this.#onRequest?.({ ...requestInfo(line), status: response.status, peer: connection.peer });
    connection.write(response.variant("close", line.startsWith("HEAD ")));
    connection.finish(false);
  }
}

/** Returns the position after the first `\n\n` or `\n\r\n` at or after `from`; -1 if there is none. */
function findEnd(bytes: Uint8Array, from: number): number {
  for (let i = from; i < bytes.length - 1; i++) {
    if (bytes[i] !== LF) continue;
    if (bytes[i + 1] === LF) return i + 2;
    if (bytes[i + 1] === CR && i + 2 < bytes.length && bytes[i + 2] === LF) return i + 3;
  }
  return -1;
}

/** Appends to the request. The buffer grows by doubling, so that a request sent byte by byte is not copied each time. */
function append(partial: PartialRequest, bytes: Uint8Array, length: number): void {
  const needed = partial.length + length;
  if (needed > partial.bytes.length) {
    const larger = Buffer.alloc(Math.max(needed, 2 * partial.bytes.length));
    partial.bytes.copy(larger, 0, 0, partial.length);
    partial.bytes = larger;
  }
  partial.bytes.set(bytes.subarray(0, length), partial.length);
  partial.length = needed;
}
