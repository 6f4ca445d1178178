// Whether a reply is the one that was due.

import { expect } from "bun:test";
import type { EpollServerOptions } from "../../../src/index.ts";
import { SENTENCE } from "../../support/server.ts";
import type { Due, Kind } from "./case.ts";
import type { ReplyRead } from "./replies.ts";
import { type Echo, targetOf } from "./servers.ts";

/** Where a reply was given. */
export interface Place {
  kind: Kind;
  response: EpollServerOptions["response"];
  date: string;
  /** What its Connection field has to say: nothing of an end, the end, or either. */
  says: "stays" | "closes" | "either";
}

export function judge(reply: ReplyRead, due: Due, place: Place): void {
  const { status, fields } = reply;
  const statuses = [due.status ?? usualStatus(place)].flat();
  if (!statuses.includes(status)) expect(status, "status").toBe(statuses[0] as number);
  if (status >= 200) {
    expect(fields.get("date"), "Date").toBe(place.date);
    judgeConnection(fields.get("connection"), due, place);
  }
  for (const [name, value] of Object.entries(due.fields ?? {})) {
    const actual = fields.get(name.toLowerCase()) ?? null;
    if (value instanceof RegExp) expect(actual, name).toMatch(value);
    else expect(actual, name).toBe(value);
  }
  if (status === 204 || status === 304 || due.isHead === true) expect(reply.body, "body").toBeEmpty();
  else judgeBody(reply, due, place);
}

function usualStatus({ kind, response }: Place): number {
  if (kind !== "static" || typeof response !== "object" || response instanceof Uint8Array) return 200;
  return response.status ?? 200;
}

/** RFC 9112, 9.3 and 9.6 */
function judgeConnection(connection: string | undefined, due: Due, { says }: Place): void {
  if (says === "stays") expect(connection, "Connection").toBe(due.isOld === true ? "keep-alive" : undefined);
  else if (due.isServers === true || (says === "closes" && due.isOld !== true)) {
    expect(connection, "Connection").toBe("close");
  } else expect([undefined, "close", "keep-alive"], "Connection").toContain(connection);
}

function judgeBody({ status, fields, body }: ReplyRead, due: Due, { kind, response }: Place): void {
  const text = body.toString("utf8");
  if (due.text !== undefined) {
    expect(text, "body").toBe(due.text);
  } else if (due.isServers === true) {
    if (status < 400) return;
    expect(fields.get("content-type"), "Content-Type").toStartWith("text/plain");
    expect(text, "sentence").toMatch(/^[A-Z][^]*\.\n?$/);
  } else if (kind === "static") {
    expect(text, "body").toBe(typeof response === "string" ? response : SENTENCE);
  } else if (kind === "echo" && status === 200) {
    judgeEcho(JSON.parse(text) as Echo, due);
  } else if (status === 200) {
    expect(text, "body").toBe("deaf");
  }
}

/** What the handler saw is what was sent. */
function judgeEcho(echo: Echo, { method, target, url, body, headers }: Due): void {
  if (method !== undefined) expect(echo.method, "method").toBe(method);
  if (target !== undefined) expect(targetOf(echo.url), "target").toBe(target);
  if (url !== undefined) expect(echo.url, "url").toBe(url);
  if (body !== undefined) expect(echo.body, "body").toBe(body);
  for (const [name, value] of Object.entries(headers ?? {})) expect(echo.headers[name] ?? null, name).toBe(value);
}
