/** @jsxImportSource preact */
// The search box above the event list, and the buttons that go to the next and previous match and warning.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { FILTER_KEYS } from "./event-filter.ts";
import { moveToMatch, moveToWarning } from "./event-navigation.ts";
import { formatCount } from "./format.ts";
import { FILTER_INPUT_ID } from "./shortcuts.ts";
import type { Store } from "./store.ts";

/** Filtering hundreds of thousands of events takes a moment, so it waits until the user stops typing. */
const TYPING_PAUSE_MS = 150;

export function EventFilterBar({ store }: { store: Store }): JSX.Element {
  const { browser } = store;
  const [text, setText] = useState(browser.query);
  useEffect(() => setText(browser.query), [browser.query]);
  useEffect(() => {
    if (text === browser.query) return;
    const timer = setTimeout(() => browser.setQuery(text), TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const { isFiltering, filterError } = browser;
  const matchCount = browser.matches.end - browser.matches.start;
  return (
    <form
      class="filter"
      role="search"
      aria-label="Filter events"
      onSubmit={(event) => {
        event.preventDefault();
        if (text === browser.query) moveToMatch(store, 1);
        else browser.setQuery(text);
      }}
    >
      <div class="filter-row">
        <input
          id={FILTER_INPUT_ID}
          type="search"
          placeholder="Filter: fd:7 type:recv errno:* text"
          aria-label="Filter"
          aria-describedby="filter-status"
          aria-invalid={filterError !== undefined}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && event.shiftKey) {
              event.preventDefault();
              moveToMatch(store, -1);
            } else if (event.key === "Escape" && text !== "") {
              event.preventDefault();
              event.stopPropagation();
              setText("");
              browser.setQuery("");
            }
          }}
        />
        <button
          type="button"
          aria-label="Previous match"
          title="Previous match (Shift+M)"
          disabled={!isFiltering}
          onClick={() => moveToMatch(store, -1)}
        >
          ↑
        </button>
        <button
          type="button"
          aria-label="Next match"
          title="Next match (m)"
          disabled={!isFiltering}
          onClick={() => moveToMatch(store, 1)}
        >
          ↓
        </button>
        <button
          type="button"
          aria-label="Previous warning"
          title="Previous warning (Shift+W)"
          onClick={() => moveToWarning(store, -1)}
        >
          ⚠↑
        </button>
        <button
          type="button"
          aria-label="Next warning"
          title="Next warning (w)"
          onClick={() => moveToWarning(store, 1)}
        >
          ⚠↓
        </button>
      </div>
      <p
        id="filter-status"
        class={filterError === undefined ? "aside" : "aside fails"}
        role={filterError === undefined ? undefined : "alert"}
      >
        {filterError ??
          (isFiltering ? `${formatCount(matchCount)} ${matchCount === 1 ? "row matches" : "rows match"}` : "")}
      </p>
      <details class="filter-help">
        <summary>Filter syntax</summary>
        <dl class="facts">
          {FILTER_KEYS.map(({ key, example, meaning }) => (
            <>
              <dt>
                <button type="button" onClick={() => browser.setQuery(`${browser.query} ${example}`.trim())}>
                  {example}
                </button>
              </dt>
              <dd>
                {meaning} <span class="visually-hidden">({key})</span>
              </dd>
            </>
          ))}
        </dl>
        <p class="aside">
          All terms must match. A comma separates alternatives, <code>-</code> before a term excludes its matches, and
          words without a key, or text in quotes, are searched in the line.
        </p>
      </details>
    </form>
  );
}
