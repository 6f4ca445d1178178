// Labels that more than one component of the page shows.

import type { TestClientKind } from "../messages.ts";

export const TEST_CLIENT_LABELS: Record<TestClientKind, string> = {
  request: "Send a request",
  pipeline: "Pipeline 16 requests",
  silent: "Connect, send nothing",
  "partial-head": "Send half a request head",
  drip: "Send one byte every 250 ms",
  "half-close": "Send, then shut down writing",
  disconnect: "Connect and disconnect",
  reset: "Reset the connection (RST)",
  garbage: "Send bytes that are not HTTP",
  "endless-head": "Send an endless request head",
  "never-reads": "Send requests, never read",
  burst: "64 requests at once",
};

export const VIEW_ONLY = "View only. To control the server, open the URL with the token from the terminal.";
