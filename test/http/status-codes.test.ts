// The reason phrases of status codes are the same as in Node.

import { STATUS_CODES } from "node:http";
import { expect, setDefaultTimeout, test } from "bun:test";
import { reasonPhrase } from "../../src/protocols/http/status-codes.ts";

setDefaultTimeout(60_000);

test("returns the phrases of node:http, and none for unknown statuses", () => {
  for (let status = 100; status < 1000; status++) {
    const phrase = STATUS_CODES[status];
    expect(`${status} ${reasonPhrase(status)}`).toBe(`${status} ${phrase ?? ""}`);
  }
});
