/** @jsxImportSource preact */
// The details of the selected event: its text, the source line that made the call, its fields, and what can be copied.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { TraceEvent } from "../../../trace/events.ts";
import { curlCommand } from "./curl-command.ts";
import { filterByConnection, followFd } from "./event-navigation.ts";
import { formatCount, formatDuration, formatLine, formatTick } from "./format.ts";
import { SourceView } from "./source-view.tsx";
import type { Store } from "./store.ts";

export function EventDetail({ store }: { store: Store }): JSX.Element {
  const selected = store.lostWarning ?? store.selectedEvent;
  return (
    <section class="event-detail" aria-label="Event details">
      {selected === undefined ? (
        <>
          <h2>Event details</h2>
          <p class="aside">No events yet.</p>
        </>
      ) : (
        <>
          <h2>
            Event {formatCount(selected.seq)} <small>{selected.type}</small>
          </h2>
          <p class="line">{formatLine(selected, store.isNumeric, store.history.hasSeveralThreads).trim()}</p>
          {store.lostWarning === undefined ? (
            <Actions key={selected.seq} store={store} event={selected} />
          ) : (
            <p class="aside">The events around it are no longer kept.</p>
          )}
          {store.source === undefined ? null : <SourceView source={store.source} />}
          <Fields event={selected} />
        </>
      )}
    </section>
  );
}

function Actions({ store, event }: { store: Store; event: TraceEvent }): JSX.Element {
  const [isRevealing, setRevealing] = useState(false);
  const [copied, setCopied] = useState("");
  const curl = event.type === "recv" ? curlCommand(event, store.hello?.name ?? "", isRevealing) : undefined;
  const hasCredentials = event.type === "recv" && curlCommand(event, "", false) !== curlCommand(event, "", true);
  const fd = fdOf(event);
  const copy = (what: string, text: string): void => {
    navigator.clipboard.writeText(text).then(
      () => setCopied(`Copied ${what}.`),
      () => store.set({ error: "The browser does not allow this page to use the clipboard." }),
    );
  };
  return (
    <div class="actions">
      <button type="button" onClick={() => copy("the text", formatLine(event, store.isNumeric).trim())}>
        Copy text
      </button>
      <button type="button" onClick={() => copy("the link", `${store.hello?.viewUrl ?? ""}&e=${event.seq}`)}>
        Copy link
      </button>
      {curl === undefined ? null : (
        <button type="button" title={curl} onClick={() => copy("the curl command", curl)}>
          Copy as curl
        </button>
      )}
      {hasCredentials ? (
        <label class="check">
          <input type="checkbox" checked={isRevealing} onChange={(e) => setRevealing(e.currentTarget.checked)} /> with
          credentials
        </label>
      ) : null}
      {fd === undefined ? null : (
        <>
          <button
            type="button"
            title={`Show only the events of fd ${fd}, from when it was opened until it is closed`}
            onClick={() => filterByConnection(store, fd, event.pid, store.browser.selected)}
          >
            Filter fd {fd}
          </button>
          <button
            type="button"
            title={`Show the events of fd ${fd} with the time between them`}
            onClick={() => followFd(store, fd, event.pid, store.browser.selected)}
          >
            Follow fd {fd}
          </button>
        </>
      )}
      <span role="status" class="aside">
        {copied}
      </span>
    </div>
  );
}

function fdOf(event: TraceEvent): number | undefined {
  if ((event.type === "accept" || event.type === "open") && event.result >= 0) return event.result;
  return "fd" in event && event.fd !== null ? event.fd : undefined;
}

function Fields({ event }: { event: TraceEvent }): JSX.Element {
  const { seq: _, us, iteration, at, type: __, ...fields } = event;
  return (
    <dl class="facts">
      <dt>Time</dt>
      <dd title={`${formatDuration(us)} after the start of the trace`}>{formatTick(us, 1)}</dd>
      <dt>Iteration</dt>
      <dd>{formatCount(iteration)}</dd>
      {Object.entries(fields).map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
        </>
      ))}
      {at === undefined ? null : (
        <>
          <dt>Called from</dt>
          <dd>{at}</dd>
        </>
      )}
    </dl>
  );
}
