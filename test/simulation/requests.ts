// The requests of simulated clients, as bytes, and the reply that each of them must get.

import { closePayload, frame, upgradeRequest } from "../support/raw-websocket.ts";
import { pattern } from "./pattern.ts";

export const KINDS = [
  "get",
  "head",
  "async",
  "stream",
  "file",
  "upload",
  "slow-upload",
  "chunked",
  "ignored",
  "throws",
  "expect",
  "expect-ignored",
  "http10",
  "last",
  "garbage",
  "long-head",
  "too-large",
  "bad-chunk",
  "websocket",
] as const;

export type RequestKind = (typeof KINDS)[number];

export interface RequestPlan {
  kind: RequestKind;
  /** The size of the body: of the request, or of the response. */
  size: number;
  /** How long the handler takes, or waits between two pieces. */
  delayMs: number;
  /** Into how many pieces a stream or an upload is divided. */
  pieces: number;
  /** Whether it is sent only after the reply to the one before. */
  waits: boolean;
}

/** A message that a WebSocket client sends, and what it must get in return. */
export interface FramePlan {
  kind: "text" | "binary" | "fragmented" | "ping" | "close" | "invalid";
  size: number;
}

export interface SimRequest {
  readonly id: number;
  readonly plan: RequestPlan;
  /** Positions in the client's stream. */
  readonly start: number;
  readonly headEnd: number;
  readonly end: number;
  /** The statuses that the reply may have if it is not the handler's. Empty: the request is valid. */
  readonly rejections: readonly number[];
  /** The status of the handler's reply. */
  readonly status: number;
  /** The size of the handler's reply; its content is the pattern of the id. */
  readonly replySize: number;
  /** The reply has no body. */
  readonly isHead: boolean;
  /** The connection ends with its reply. */
  readonly closes: boolean;
  /** The connection may end with its reply. */
  readonly mayClose: boolean;
  readonly expectsContinue: boolean;
  // What has happened so far, by the simulated clock.
  handledMs: number;
  isHandled: boolean;
}

export const MAX_HEADER_BYTES = 2048;
export const MAX_BODY_BYTES = 1_000_000;
export const STATIC_BODY = "Hello from Epoll server!";

const UPLOADS = new Set<RequestKind>(["upload", "slow-upload", "expect", "ignored", "expect-ignored"]);
const NEVER_HANDLED = new Set<RequestKind>(["garbage", "long-head", "too-large"]);

/** Returns the bytes of a request, and what must become of it. */
export function buildRequest(id: number, plan: RequestPlan, start: number, isStatic: boolean): [Buffer, SimRequest] {
  const { kind, size, delayMs, pieces } = plan;
  const isUpload = UPLOADS.has(kind);
  const method = kind === "head" ? "HEAD" : isUpload || kind === "chunked" || kind === "too-large" ? "POST" : "GET";
  const target = `/${id}/${kind}/${size}/${delayMs}/${pieces}`;
  let head = `${method} ${target} HTTP/1.${kind === "http10" ? 0 : 1}\r\nHost: a.test\r\n`;
  let body: Uint8Array = new Uint8Array(0);
  if (isUpload) {
    head += `Content-Length: ${size}\r\n`;
    body = pattern(id, 0, size);
  }
  if (kind === "chunked" || kind === "bad-chunk") {
    if (kind === "bad-chunk") head = head.replace("GET", "POST");
    head += "Transfer-Encoding: chunked\r\n";
    body = chunked(id, size, pieces, kind === "bad-chunk");
  }
  if (kind === "expect" || kind === "expect-ignored") head += "Expect: 100-continue\r\n";
  if (kind === "last") head += "Connection: close\r\n";
  if (kind === "too-large") head += `Content-Length: ${MAX_BODY_BYTES + 1 + size}\r\n`;
  if (kind === "long-head") head += `X-Long: ${"x".repeat(MAX_HEADER_BYTES + size)}\r\n`;
  head += "\r\n";
  if (kind === "garbage") head = GARBAGE[size % GARBAGE.length] as string;
  if (kind === "websocket") head = upgradeRequest({}, `GET ${target} HTTP/1.1`);
  const bytes = Buffer.concat([Buffer.from(head, "latin1"), body]);
  const isHead = kind === "head";
  const isReply = ["get", "head", "async", "stream", "file", "http10", "last"].includes(kind);
  const request: SimRequest = {
    id,
    plan,
    start,
    headEnd: start + head.length,
    end: start + bytes.length,
    rejections: rejectionsOf(kind),
    status: kind === "throws" && !isStatic ? 500 : kind === "websocket" && !isStatic ? 101 : 200,
    replySize: isStatic ? STATIC_BODY.length : isReply ? size : 2,
    isHead,
    closes: NEVER_HANDLED.has(kind) || kind === "http10" || kind === "last",
    mayClose:
      kind === "ignored" || kind === "expect-ignored" || kind === "bad-chunk" || (isStatic && kind === "expect"),
    expectsContinue: kind === "expect" || kind === "expect-ignored",
    handledMs: Infinity,
    isHandled: false,
  };
  return [bytes, request];
}

function rejectionsOf(kind: RequestKind): number[] {
  if (kind === "garbage") return [400, 405, 501, 505];
  if (kind === "long-head") return [431];
  if (kind === "too-large") return [413];
  if (kind === "bad-chunk") return [400];
  return [];
}

const GARBAGE = [
  "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "\0\0\0\0garbage\r\n\r\n",
  "GET /\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
  "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
  "BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
];

function chunked(id: number, size: number, pieces: number, isBad: boolean): Buffer {
  const parts: Uint8Array[] = [];
  const each = Math.max(1, Math.ceil(size / pieces));
  for (let at = 0; at < size; at += each) {
    const n = Math.min(each, size - at);
    parts.push(Buffer.from(`${n.toString(16)}\r\n`), pattern(id, at, n), Buffer.from("\r\n"));
  }
  parts.push(Buffer.from(isBad ? "zz\r\n" : "0\r\n\r\n"));
  return Buffer.concat(parts);
}

/** What a WebSocket client must receive. */
export interface ExpectedFrame {
  opcode: number;
  payload: Buffer;
  /** Position in the client's stream of the end of the message. */
  end: number;
}

/** Returns the bytes of a client's frames, and the frames that answer them. Nothing follows a Close or an invalid frame. */
export function buildFrames(id: number, plans: readonly FramePlan[], start: number): [Buffer, ExpectedFrame[]] {
  const parts: Buffer[] = [];
  const expected: ExpectedFrame[] = [];
  let at = start;
  const add = (bytes: Buffer): void => {
    parts.push(bytes);
    at += bytes.length;
  };
  for (const [i, { kind, size }] of plans.entries()) {
    const payload = Buffer.from(pattern(id + i, 0, kind === "ping" ? size % 126 : size));
    if (kind === "text" || kind === "binary") {
      const opcode = kind === "text" ? 1 : 2;
      add(frame(opcode, payload));
      expected.push({ opcode, payload, end: at });
    } else if (kind === "fragmented") {
      const half = size >> 1;
      add(frame(2, payload.subarray(0, half), { fin: false }));
      add(frame(9, "between"));
      expected.push({ opcode: 10, payload: Buffer.from("between"), end: at });
      add(frame(0, payload.subarray(half)));
      expected.push({ opcode: 2, payload, end: at });
    } else if (kind === "ping") {
      add(frame(9, payload));
      expected.push({ opcode: 10, payload, end: at });
    } else if (kind === "close") {
      add(frame(8, closePayload(1000, "bye")));
      expected.push({ opcode: 8, payload: closePayload(1000, "bye"), end: at });
      break;
    } else {
      add(frame(3, payload.subarray(0, 10))); // a reserved opcode
      expected.push({ opcode: 8, payload: Buffer.from([1002 >> 8, 1002 & 255]), end: at });
      break;
    }
  }
  return [Buffer.concat(parts), expected];
}
