// Decides whether a response waits for its request's body, if the handler has not read it.

import type { Exchange } from "./exchange.ts";
import { SerializedResponse } from "./static-response.ts";

/** How much of a body that the handler does not read is received and discarded, to keep the connection open. */
export const MAX_DISCARDED_BYTES = 262_144;

/**
 * - `send`: the response can be sent now
 * - `wait`: the rest of the body is received and discarded first, because only then is it known whether the request was
 *   well-formed
 * - `abandon`: the response is sent now, and the rest of the body is not received: the connection closes
 */
export type UnreadBodyPolicy = "send" | "wait" | "abandon";

/**
 * Returns what to do with the body of a request whose response is ready. The first row that applies:
 *
 * | the request's body | result |
 * |---|---|
 * | does not exist, is complete, or has failed | `send` |
 * | is discarded by a server with a static response | `wait` |
 * | may be the source of the response, which is a stream | `send` |
 * | was announced by an `Expect` that was not answered | `abandon` |
 * | is not read, and more than MAX_DISCARDED_BYTES are missing | `abandon` |
 * | is being read by the handler | `send` |
 * | is not read | `wait` |
 */
export function unreadBodyPolicy(exchange: Exchange, hasHandler: boolean): UnreadBodyPolicy {
  const { body, head, response } = exchange;
  if (body === undefined || body.isComplete || body.error !== undefined) return "send";
  const isStatic = response instanceof SerializedResponse;
  if (isStatic && body.isDiscarded && !hasHandler) return "wait";
  if (!isStatic && response?.source?.readFirst !== undefined) return "send";
  if (head?.expectsContinue === true && exchange.expectation !== "sent") return "abandon";
  const isUnread = !body.isReadStarted || body.isDiscarded;
  if (isUnread && body.remaining !== Infinity && body.remaining > MAX_DISCARDED_BYTES) return "abandon";
  return isUnread ? "wait" : "send";
}
