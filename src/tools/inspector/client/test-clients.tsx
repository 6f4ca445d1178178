/** @jsxImportSource preact */
// The panel of test clients: buttons that start one, and the log of each.

import type { JSX } from "preact";
import { TEST_CLIENT_KINDS, type TestClientKind } from "../messages.ts";
import type { Store } from "./store.ts";

const LABELS: Record<TestClientKind, string> = {
  request: "Send a request",
  pipeline: "Pipeline 16 requests",
  silent: "Connect, send nothing",
  "partial-head": "Send half a request head",
  drip: "Send one byte every 250 ms",
  "half-close": "Send a request, shut down writing",
  disconnect: "Connect and disconnect",
  reset: "Reset the connection (RST)",
  garbage: "Send bytes that are not HTTP",
  "endless-head": "Send an endless request head",
  "never-reads": "Send requests, never read",
  burst: "Send 64 concurrent requests",
};

export function TestClientPanel({ store }: { store: Store }): JSX.Element {
  const { canControl, testClients, state } = store;
  return (
    <section class="test-clients" aria-label="Test clients">
      <h2>Test clients</h2>
      <div class="kinds">
        {TEST_CLIENT_KINDS.map((kind) => (
          <button
            key={kind}
            type="button"
            data-client={kind}
            disabled={!canControl || state?.run === "ended"}
            onClick={() => void store.send({ kind: "start-client", client: kind })}
          >
            {LABELS[kind]}
          </button>
        ))}
      </div>
      <ol class="clients">
        {testClients.toReversed().map(({ id, kind, isOpen, address, log }) => (
          <li key={id} data-kind={kind} class={isOpen ? "is-open" : ""}>
            <b>{LABELS[kind]}</b>: {isOpen ? "open" : "closed"}, {address}{" "}
            {isOpen ? (
              <button
                type="button"
                disabled={!canControl}
                onClick={() => void store.send({ kind: "close-client", id })}
              >
                Close
              </button>
            ) : null}
            <ul>
              {log.map((line, i) => (
                <li key={i}>{line}</li>
              ))}
            </ul>
          </li>
        ))}
      </ol>
    </section>
  );
}
