/** @jsxImportSource preact */
// The section of events: the filter, the list, and a button that saves the trace.

import type { JSX } from "preact";
import { download } from "./download.ts";
import { EventFilterBar } from "./event-filter-bar.tsx";
import { EventList } from "./event-list.tsx";
import { formatCount } from "./format.ts";
import { traceName, traceText } from "./save-trace.ts";
import type { Store } from "./store.ts";

export function EventsSection({ store }: { store: Store }): JSX.Element {
  const { browser, history } = store;
  return (
    <section class="events-section" aria-label="Events">
      <div class="section-head">
        <h2>Events</h2>
        {store.isBusy && store.isFollowing ? (
          <small>{formatCount(store.omitted)} skipped since the last update</small>
        ) : null}
        <button
          type="button"
          title={
            browser.range === undefined ? "Save the events that the page has" : "Save the events of the selected range"
          }
          onClick={() =>
            download(traceName(new Date()), traceText(history, browser.range, store.hello ?? { pid: 0, startedMs: 0 }))
          }
        >
          {browser.range === undefined ? "Save trace" : "Save range"}
        </button>
      </div>
      <EventFilterBar store={store} />
      <EventList store={store} />
    </section>
  );
}
