// The content of Close frames: RFC 6455, 5.5.1.

import { Buffer } from "node:buffer";
import { ABNORMAL, NO_STATUS } from "./close-codes.ts";

/** A control frame has at most 125 bytes, of which the code takes two. */
const MAX_REASON_BYTES = 123;

/**
 * Returns the content of a Close frame, and the reason that it contains: as many characters as fit.
 *
 * @param code 0, 1005 and 1006 stand for no code, and so no reason
 */
export function closeFrameData(code: number, reason: string): { data: Buffer; text: string } {
  if (code === 0 || code === NO_STATUS || code === ABNORMAL) return { data: Buffer.alloc(0), text: "" };
  const data = Buffer.alloc(2 + MAX_REASON_BYTES);
  data.writeUInt16BE(code & 0xffff);
  const length = data.write(reason, 2); // whole characters only
  return { data: data.subarray(0, 2 + length), text: data.toString("utf8", 2, 2 + length) };
}

/** The messages of ws about invalid input, with those of Bun.serve, which are sent to the peer and reported to `close`. */
const REASONS: readonly [message: RegExp, reason: string][] = [
  [/RSV2 and RSV3 must be clear/, "Received unexpected RSV2 or RSV3 bit"],
  [/RSV1 must be clear/, "Received unexpected RSV1 bit"],
  [/invalid opcode 0$/, "Received continuation frame outside a fragmented message"],
  [/invalid opcode [12]$/, "Received new message inside a fragmented message"],
  [/invalid opcode/, "Received invalid opcode"],
  [/FIN must be set/, "Received fragmented control frame"],
  [/invalid payload length 1$/, "Received invalid close payload"],
  [/invalid payload length/, "Received too big control frame"],
  [/MASK must be set/, "Received an incorrectly masked frame"],
  [/Max payload size exceeded|payload length > /, "Received too big message"],
  [/invalid status code/, "Received invalid close code"],
  [/invalid UTF-8/, "Received invalid UTF-8"],
  [/invalid compressed data/, "Received invalid compressed data"],
  [/Too many message fragments/, "Received too many fragments"],
];

/** Returns the reason for a message of ws. */
export function invalidFrameReason(message: string): string {
  return REASONS.find(([pattern]) => pattern.test(message))?.[1] ?? message;
}
