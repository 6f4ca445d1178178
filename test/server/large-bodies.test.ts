// Large request bodies: an iteration receives what has arrived, with several calls.

import { expect, setDefaultTimeout, test } from "bun:test";
import { leavesNoFd } from "../support/fds.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

const BYTES = 1_000_000;

// With data left in the receive queue, the kernel may not announce a larger window, and the client waits for its persist timer.
for (const [kind, head] of [
  ["with Content-Length", `Content-Length: ${BYTES}\r\n\r\n`],
  ["chunked", `Transfer-Encoding: chunked\r\n\r\n${BYTES.toString(16)}\r\n`],
] as const) {
  test(`an iteration receives more of a body than one call of recv returns, ${kind}`, () =>
    leavesNoFd(() => {
      using harness = new ServerHarness({
        fetch: async (request) => new Response(String((await request.bytes()).length)),
      });
      const client = harness.client(`POST / HTTP/1.1\r\nHost: a\r\n${head}`);
      harness.settle();
      const before = harness.server.stats.bytesIn;
      const sent = client.send("x".repeat(BYTES - 1));
      expect(sent).toBeGreaterThan(2 * 65_536);
      harness.server.tick(0);
      expect(harness.server.stats.bytesIn - before).toBeGreaterThan(65_536);
    }));
}
