// The reason phrases of our own are the ones that Node knows.

import { STATUS_CODES } from "node:http";
import { expect, setDefaultTimeout, test } from "bun:test";
import { reasonPhrase } from "../../src/protocols/http/status-codes.ts";

setDefaultTimeout(60_000);

test("each status has the phrase that node:http gives it, and one that nobody knows has none", () => {
  for (let status = 100; status < 1000; status++) {
    const known = STATUS_CODES[status];
    expect(`${status} ${reasonPhrase(status)}`).toBe(`${status} ${known ?? ""}`);
  }
});
