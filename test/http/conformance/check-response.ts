// Checks a response against the expected one.

import { expect } from "bun:test";
import type { EpollServerOptions } from "../../../src/index.ts";
import { SENTENCE } from "../../support/server.ts";
import type { Expected, Kind } from "./case.ts";
import type { ParsedResponse } from "./parse-response.ts";
import { type Echo, targetOf } from "./servers.ts";

/** The circumstances of a response. */
export interface Circumstances {
  kind: Kind;
  response: EpollServerOptions["response"];
  date: string;
  /** What the Connection field must say: that the connection stays open, that it closes, or either. */
  says: "stays" | "closes" | "either";
}

export function checkResponse(actual: ParsedResponse, expected: Expected, circumstances: Circumstances): void {
  const { status, fields } = actual;
  const statuses = [expected.status ?? defaultStatus(circumstances)].flat();
  if (!statuses.includes(status)) expect(status, "status").toBe(statuses[0] as number);
  if (status >= 200) {
    expect(fields.get("date"), "Date").toBe(circumstances.date);
    checkConnection(fields.get("connection"), expected, circumstances);
  }
  for (const [name, value] of Object.entries(expected.fields ?? {})) {
    const actual = fields.get(name.toLowerCase()) ?? null;
    if (value instanceof RegExp) expect(actual, name).toMatch(value);
    else expect(actual, name).toBe(value);
  }
  if (status === 204 || status === 304 || expected.isHead === true) expect(actual.body, "body").toBeEmpty();
  else checkBody(actual, expected, circumstances);
}

function defaultStatus({ kind, response }: Circumstances): number {
  if (kind !== "static" || typeof response !== "object" || response instanceof Uint8Array) return 200;
  return response.status ?? 200;
}

/** RFC 9112, 9.3 and 9.6 */
function checkConnection(connection: string | undefined, expected: Expected, { says }: Circumstances): void {
  if (says === "stays") expect(connection, "Connection").toBe(expected.isHttp10 === true ? "keep-alive" : undefined);
  else if (expected.isFromServer === true || (says === "closes" && expected.isHttp10 !== true)) {
    expect(connection, "Connection").toBe("close");
  } else expect([undefined, "close", "keep-alive"], "Connection").toContain(connection);
}

function checkBody(
  { status, fields, body }: ParsedResponse,
  expected: Expected,
  { kind, response }: Circumstances,
): void {
  const text = body.toString("utf8");
  if (expected.text !== undefined) {
    expect(text, "body").toBe(expected.text);
  } else if (expected.isFromServer === true) {
    if (status < 400) return;
    expect(fields.get("content-type"), "Content-Type").toStartWith("text/plain");
    expect(text, "message").toMatch(/^[A-Z][^]*\.\n?$/);
  } else if (kind === "static") {
    expect(text, "body").toBe(typeof response === "string" ? response : SENTENCE);
  } else if (kind === "echo" && status === 200) {
    checkEcho(JSON.parse(text) as Echo, expected);
  } else if (status === 200) {
    expect(text, "body").toBe("ignore");
  }
}

/** Checks that the handler received what was sent. */
function checkEcho(echo: Echo, { method, target, url, body, headers }: Expected): void {
  if (method !== undefined) expect(echo.method, "method").toBe(method);
  if (target !== undefined) expect(targetOf(echo.url), "target").toBe(target);
  if (url !== undefined) expect(echo.url, "url").toBe(url);
  if (body !== undefined) expect(echo.body, "body").toBe(body);
  for (const [name, value] of Object.entries(headers ?? {})) expect(echo.headers[name] ?? null, name).toBe(value);
}
