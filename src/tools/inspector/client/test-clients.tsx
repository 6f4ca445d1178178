/** @jsxImportSource preact */
// The panel of test clients: buttons that start one, and the log of each.

import type { JSX } from "preact";
import { TEST_CLIENT_KINDS } from "../messages.ts";
import { TEST_CLIENT_LABELS } from "./labels.ts";
import type { Store } from "./store.ts";

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
            {TEST_CLIENT_LABELS[kind]}
          </button>
        ))}
      </div>
      <ol class="clients">
        {testClients.toReversed().map(({ id, kind, isOpen, address, log }) => (
          <li key={id} data-kind={kind} class={isOpen ? "is-open" : ""}>
            <b>{TEST_CLIENT_LABELS[kind]}</b>: {isOpen ? "open" : "closed"}, {address}{" "}
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
