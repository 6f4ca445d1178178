// What a case of the conformance suite is: bytes for a connection, the replies that are due, and what becomes of it.

import type { EpollServerOptions } from "../../../src/index.ts";

/** Who answers: the static reply; a fetch handler that tells what it got, with the body; one that touches no body. */
export type Kind = "static" | "echo" | "deaf";

/** A reply that is due, and for the echoing handler what it saw. What is not given is not looked at. */
export interface Due {
  /** 200 unless given; several, if the RFC leaves the choice. */
  status?: number | readonly number[];
  /** It answers a HEAD: no body follows, whatever its fields say. */
  isHead?: boolean;
  /** It answers HTTP/1.0: no chunks. */
  isOld?: boolean;
  /** It is the server's own, and not the handler's: a refusal, `OPTIONS *`, `100 Continue`. */
  isServers?: boolean;
  /** Fields of the reply: a value, a pattern, or null for none. */
  fields?: Readonly<Record<string, string | RegExp | null>>;
  /** The reply's body. */
  text?: string;

  method?: string;
  /** The path and the query that the handler saw. */
  target?: string;
  url?: string;
  /** The request's body, each byte a character. */
  body?: string;
  /** The request's fields: a value, or null for none. */
  headers?: Readonly<Record<string, string | null>>;
}

export interface Outcome {
  replies: readonly Due[];
  /** Open, and in step: a further request gets its reply and nothing else comes. Or closed, and nothing else comes. */
  after: "stays" | "closes";
}

export interface Case extends Outcome {
  /** The promise, with its place in the RFCs. */
  name: string;
  /** Each character a byte. Several parts: the next one is sent when what is due by then has come. */
  send: string | readonly string[];
  /** How many replies have come after each part, and no more. */
  heard?: readonly number[];
  /** The client shuts down its side behind that: shutdown(SHUT_WR). */
  ends?: boolean;
  /** `100 Continue` may come or not: parts of the body may be there already. RFC 9110, 10.1.1. */
  mayContinue?: boolean;
  /** This will do as well: the RFC leaves it open, or it depends on how the bytes come. */
  or?: Outcome;
  /** The end is known only when the handler's promise settles: it may have been called for what comes behind. */
  isLate?: boolean;
  /** Some servers answer it otherwise. */
  on?: Partial<Record<Kind, Partial<Pick<Case, "replies" | "after" | "heard" | "or">>>>;
  /** Only these are asked. */
  only?: readonly Kind[];
  options?: EpollServerOptions | undefined;
}

/** The cases of one subject. */
export interface Subject {
  subject: string;
  cases: readonly Case[];
}

// ---- bytes ----

/** A request's head: its lines, and the empty one. */
export function head(...lines: readonly string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

export function get(...fields: readonly string[]): string {
  return head("GET / HTTP/1.1", "Host: a", ...fields);
}

/** A POST's head; what follows is the body. */
export function post(...fields: readonly string[]): string {
  return head("POST / HTTP/1.1", "Host: a", ...fields);
}

/** A POST with a body in chunks, as it comes over the wire. */
export function chunked(wire: string): string {
  return post("Transfer-Encoding: chunked") + wire;
}

export const SMUGGLED: string = head("GET /smuggled HTTP/1.1", "Host: a");

// ---- cases ----

/** All are answered, and the connection stays. */
export function answered(name: string, send: Case["send"], ...replies: readonly Due[]): Case {
  return { name, send, replies: replies.length === 0 ? [{}] : replies, after: "stays" };
}

/** All are answered, and then the connection closes. */
export function last(name: string, send: Case["send"], ...replies: readonly Due[]): Case {
  return { ...answered(name, send, ...replies), after: "closes" };
}

/** A refusal, after the replies that are due before it; and the connection closes. */
export function refused(
  status: number | readonly number[],
  name: string,
  send: Case["send"],
  ...before: readonly Due[]
): Case {
  return { name, send, replies: [...before, refusal(status)], after: "closes" };
}

/** What its grammar allows, and others read differently: it may be refused. */
export function orRefused(one: Case, status: number | readonly number[] = 400): Case {
  return { ...one, or: { replies: [refusal(status)], after: "closes" } };
}

export function refusal(status: number | readonly number[]): Due {
  return { status, isServers: true };
}

/** `100 Continue` */
export const CONTINUE: Due = { status: 100, isServers: true };

/** Cases that differ in one place only. */
export function each(values: readonly string[], make: (value: string) => Case): Case[] {
  return values.map(make);
}

/** Bytes for a case's name. */
export function shown(bytes: string): string {
  return JSON.stringify(bytes).replace(/[\x7f-\xff]/g, (byte) => `\\u00${byte.charCodeAt(0).toString(16)}`);
}
