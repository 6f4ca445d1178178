/** @jsxImportSource preact */
// One event: its line, its fields, and the line of the run loop that made the call; and the ones before it.

import type { JSX } from "preact";
import type { TraceEvent } from "../../../trace/events.ts";
import { hasLine } from "../../../trace/format.ts";
import type { SourceResponse } from "../messages.ts";
import type { Store } from "./store.ts";
import type { View } from "./event-history.ts";
import { duration, lineOf, number } from "./format.ts";

const LINES = 14;

export function EventDetail({ store, view }: { store: Store; view: View }): JSX.Element {
  const { position } = view;
  const lines = store.tape
    .upTo(position, 3 * LINES)
    .filter((one) => hasLine(one.event))
    .slice(-LINES);
  const event = store.shown;
  return (
    <section class="detail" aria-label="Event">
      <h2>
        Events
        {store.isBusy && store.isLive ? (
          <small> {number(store.omitted)} others since the last look are not shown</small>
        ) : null}
      </h2>
      <ol class="events">
        {lines.map(({ event: one, position: at, omitted }, i) => (
          <li key={i} class={`${one === event ? "here" : ""} ${one.type}`}>
            {omitted > 0 ? <i>{omitted} events are not shown</i> : null}
            <button type="button" onClick={() => store.moveTo(at)}>
              {lineOf(one, store.isNumeric)}
            </button>
          </li>
        ))}
      </ol>
      {event === undefined ? <p>Nothing has happened yet.</p> : <Fields event={event} />}
      {store.source === undefined || event?.at === undefined ? null : <Source source={store.source} />}
    </section>
  );
}

function Fields({ event }: { event: TraceEvent }): JSX.Element {
  const { seq, us, iteration, at, type, ...rest } = event;
  return (
    <details open>
      <summary>
        event {seq}: {type}
      </summary>
      <dl class="facts">
        <dt>when</dt>
        <dd>
          {duration(us)} after the beginning, in iteration {iteration}
        </dd>
        {Object.entries(rest).map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </>
        ))}
        {at === undefined ? null : (
          <>
            <dt>made by</dt>
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
          <code key={first + i} class={first + i === line ? "here" : ""}>
            {String(first + i).padStart(4)} {first + i === line ? "->" : "  "} {text}
            {"\n"}
          </code>
        ))}
      </pre>
    </figure>
  );
}
