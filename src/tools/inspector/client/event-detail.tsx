/** @jsxImportSource preact */
// The list of recent events, and the details of the selected one: its fields, and the source line that made the call.

import type { JSX } from "preact";
import type { TraceEvent } from "../../../trace/events.ts";
import { hasLine } from "../../../trace/format.ts";
import type { SourceResponse } from "../messages.ts";
import type { View } from "./event-history.ts";
import { formatCount, formatDuration, formatLine } from "./format.ts";
import type { Store } from "./store.ts";

const MAX_LINES = 14;

export function EventDetail({ store, view }: { store: Store; view: View }): JSX.Element {
  const selected = store.selectedEvent;
  return (
    <section class="event-detail" aria-label="Events">
      <h2>
        Events
        {store.isBusy && store.isFollowing ? (
          <small> {formatCount(store.omitted)} skipped since the last update</small>
        ) : null}
      </h2>
      <EventList store={store} view={view} selected={selected} />
      {selected === undefined ? <p class="aside">No events yet.</p> : <Fields event={selected} />}
      {store.source === undefined || selected?.at === undefined ? null : <Source source={store.source} />}
    </section>
  );
}

interface EventListProps {
  store: Store;
  view: View;
  selected: TraceEvent | undefined;
}

function EventList({ store, view, selected }: EventListProps): JSX.Element {
  const entries = store.history
    .eventsUpTo(view.position, 3 * MAX_LINES) // more than fit, because some have no line
    .filter(({ event }) => hasLine(event))
    .slice(-MAX_LINES);
  return (
    <ol class="events">
      {entries.map(({ event, position, omitted }, i) => (
        <li key={i} class={`${event === selected ? "is-selected" : ""} ${event.type}`}>
          {omitted > 0 ? <i>{formatCount(omitted)} events skipped</i> : null}
          <button type="button" onClick={() => store.moveTo(position)}>
            {formatLine(event, store.isNumeric)}
          </button>
        </li>
      ))}
    </ol>
  );
}

function Fields({ event }: { event: TraceEvent }): JSX.Element {
  const { seq, us, iteration, at, type, ...fields } = event;
  return (
    <details open>
      <summary>
        Event details: {type}, event {seq}
      </summary>
      <dl class="facts">
        <dt>time</dt>
        <dd>
          {formatDuration(us)} after the start, iteration {iteration}
        </dd>
        {Object.entries(fields).map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </>
        ))}
        {at === undefined ? null : (
          <>
            <dt>called from</dt>
            <dd>{at}</dd>
          </>
        )}
      </dl>
    </details>
  );
}

function Source({ source: { file, first, line, lines } }: { source: SourceResponse }): JSX.Element {
  return (
    <figure class="source">
      <figcaption>
        {file}:{line}
      </figcaption>
      <pre tabIndex={0}>
        {lines.map((text, i) => (
          <code key={first + i} class={first + i === line ? "is-current" : ""}>
            {String(first + i).padStart(4)} {first + i === line ? "->" : "  "} {text}
            {"\n"}
          </code>
        ))}
      </pre>
    </figure>
  );
}
