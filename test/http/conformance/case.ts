// The cases of the conformance suite: bytes to send, the expected responses, and whether the connection stays open.

import type { EpollServerOptions } from "../../../src/index.ts";

/**
 * The server under test: with a static response, with a fetch handler that echoes the request, or with one that does not
 * read the body.
 */
export type Kind = "static" | "echo" | "ignore";

/** An expected response and, for the echo handler, the request that it received. Omitted properties are not checked. */
export interface Expected {
  /** Default: 200. Several, if the RFC leaves the choice. */
  status?: number | readonly number[];
  /** The response to HEAD, which has no body, whatever its fields say. */
  isHead?: boolean;
  /** The response to an HTTP/1.0 request, which is not chunked. */
  isHttp10?: boolean;
  /** The response comes from the server, not from a handler: a rejection, `OPTIONS *`, `100 Continue`. */
  isFromServer?: boolean;
  /** Fields of the response: a value, a pattern, or null if the field must not be there. */
  fields?: Readonly<Record<string, string | RegExp | null>>;
  /** The response's body. */
  text?: string;

  method?: string;
  /** The path and query that the handler received. */
  target?: string;
  url?: string;
  /** The request's body, one character per byte. */
  body?: string;
  /** The request's fields: a value, or null if the field must not be there. */
  headers?: Readonly<Record<string, string | null>>;
}

export interface Outcome {
  responses: readonly Expected[];
  /** Whether the connection answers a further request, or closes. In both cases nothing else arrives. */
  after: "stays" | "closes";
}

export interface Case extends Outcome {
  /** What is tested, with the section of the RFC. */
  name: string;
  /** One character per byte. If there are several parts, each is sent when the responses to the one before have arrived. */
  send: string | readonly string[];
  /** How many responses have arrived after each part. */
  responsesAfter?: readonly number[];
  /** The client closes its side at the end: shutdown(SHUT_WR). */
  ends?: boolean;
  /** `100 Continue` is optional, since part of the body may have arrived before: RFC 9110, 10.1.1. */
  allowsContinue?: boolean;
  /** Another accepted outcome, if the RFC leaves the choice or it depends on how the bytes arrive. */
  or?: Outcome;
  /** Closing is decided only when the handler's promise settles; the handler may have been called for later requests by then. */
  closesLate?: boolean;
  /** Different outcomes for some servers. */
  on?: Partial<Record<Kind, Partial<Pick<Case, "responses" | "after" | "responsesAfter" | "or">>>>;
  /** Restricts the case to these servers. */
  only?: readonly Kind[];
  options?: EpollServerOptions | undefined;
}

/** The cases of one subject. */
export interface Subject {
  subject: string;
  cases: readonly Case[];
}

// ---- bytes ----

/** Returns a request head: its lines and the empty line. */
export function head(...lines: readonly string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

export function get(...fields: readonly string[]): string {
  return head("GET / HTTP/1.1", "Host: a", ...fields);
}

/** Returns the head of a POST; the body is appended to it. */
export function post(...fields: readonly string[]): string {
  return head("POST / HTTP/1.1", "Host: a", ...fields);
}

/** Returns a POST with a chunked body, given as it is sent. */
export function chunked(wire: string): string {
  return post("Transfer-Encoding: chunked") + wire;
}

export const SMUGGLED: string = head("GET /smuggled HTTP/1.1", "Host: a");

// ---- cases ----

/** All requests are answered, and the connection stays open. */
export function answered(name: string, send: Case["send"], ...responses: readonly Expected[]): Case {
  return { name, send, responses: responses.length === 0 ? [{}] : responses, after: "stays" };
}

/** All requests are answered, and then the connection closes. */
export function last(name: string, send: Case["send"], ...responses: readonly Expected[]): Case {
  return { ...answered(name, send, ...responses), after: "closes" };
}

/** The request is rejected after the responses before it, and the connection closes. */
export function rejected(
  status: number | readonly number[],
  name: string,
  send: Case["send"],
  ...before: readonly Expected[]
): Case {
  return { name, send, responses: [...before, rejection(status)], after: "closes" };
}

/** The grammar allows the request, but other parsers read it differently, so it may also be rejected. */
export function orRejected(one: Case, status: number | readonly number[] = 400): Case {
  return { ...one, or: { responses: [rejection(status)], after: "closes" } };
}

export function rejection(status: number | readonly number[]): Expected {
  return { status, isFromServer: true };
}

/** `100 Continue` */
export const CONTINUE: Expected = { status: 100, isFromServer: true };

/** Returns cases that differ in one value. */
export function each(values: readonly string[], make: (value: string) => Case): Case[] {
  return values.map(make);
}

/** Formats bytes for a case's name. */
export function shown(bytes: string): string {
  return JSON.stringify(bytes).replace(/[\x7f-\xff]/g, (byte) => `\\u00${byte.charCodeAt(0).toString(16)}`);
}
