/** @jsxImportSource preact */
// Clients to try the server with, of every bad kind, and what has happened to each.

import type { JSX } from "preact";
import { TEST_CLIENT_KINDS } from "../messages.ts";
import type { Store } from "./store.ts";
import { TEST_CLIENT_LABELS } from "./format.ts";

export function TestClientPanel({ store }: { store: Store }): JSX.Element {
  const { mayControl, tries, state } = store;
  const isOver = state?.run === "ended";
  return (
    <section class="tries" aria-label="Try it">
      <h2>Try it: a client that …</h2>
      <div class="kinds">
        {TEST_CLIENT_KINDS.map((kind) => (
          <button
            key={kind}
            type="button"
            data-try={kind}
            disabled={!mayControl || isOver}
            onClick={() => void store.order({ kind: "try", try: kind })}
          >
            {TEST_CLIENT_LABELS[kind]}
          </button>
        ))}
      </div>
      <ol class="clients">
        {tries.toReversed().map(({ id, kind, isOpen, address, log }) => (
          <li key={id} data-kind={kind} class={isOpen ? "is-open" : ""}>
            <b>{TEST_CLIENT_LABELS[kind]}</b> {isOpen ? "open" : "over"}, {address}{" "}
            {isOpen ? (
              <button type="button" disabled={!mayControl} onClick={() => void store.order({ kind: "end-try", id })}>
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
