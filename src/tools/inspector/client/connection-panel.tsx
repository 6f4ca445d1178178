/** @jsxImportSource preact */
// The events of the connection that is followed, with the time since it was opened and since its last event.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { FollowedConnection } from "./followed-connection.ts";
import { formatBytes, formatCount, formatDuration, formatLine } from "./format.ts";
import type { Store } from "./store.ts";

export function ConnectionPanel({ store }: { store: Store }): JSX.Element | null {
  const { followed, isNumeric } = store;
  if (followed === undefined) return null;
  const { fd, address, events, isTruncated, isClosed, error, bytes } = followed;
  const lastUs = events.at(-1)?.event.us ?? followed.openedUs;
  return (
    <section class="connection" aria-label={`Connection fd ${fd}`}>
      <h2>
        Connection: fd {fd}
        <small> {address}</small>{" "}
        <button type="button" onClick={() => store.follow(undefined)}>
          Stop following
        </button>
      </h2>
      <p class="aside" role="status">
        {isClosed ? "Closed" : "Open"}. {formatCount(events.length)} {events.length === 1 ? "event" : "events"} in{" "}
        {formatDuration(lastUs - followed.openedUs)}, {formatBytes(bytes.received)} B received,{" "}
        {formatBytes(bytes.sent)} B sent.
        {isTruncated ? " Earlier events are no longer kept." : ""} {error}
      </p>
      <ConnectionEvents followed={followed} events={events} isNumeric={isNumeric} />
    </section>
  );
}

interface ConnectionEventsProps {
  followed: FollowedConnection;
  events: FollowedConnection["events"];
  isNumeric: boolean;
}

function ConnectionEvents({ followed, events, isNumeric }: ConnectionEventsProps): JSX.Element {
  return useMemo(
    () => (
      <div class="scroll" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Since open</th>
              <th scope="col">Delta</th>
              <th scope="col">Event</th>
            </tr>
          </thead>
          <tbody>
            {events.map(({ event, otherFds }, i) => (
              <tr key={event.seq}>
                <td class="number">{formatDuration(event.us - followed.openedUs)}</td>
                <td class="number">+{formatDuration(event.us - (events[i - 1]?.event.us ?? followed.openedUs))}</td>
                <td class="mask">
                  {formatLine(event, isNumeric).trim()}
                  {otherFds > 0 ? <small> and {otherFds} other fds</small> : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    ),
    [events, isNumeric],
  );
}
