/** @jsxImportSource preact */
// The list of warnings. A warning leads to its event, its fd and the source line.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { fdKey } from "../../../trace/fd-key.ts";
import { showWarning } from "./event-navigation.ts";
import { formatCount, formatDuration, formatFd } from "./format.ts";
import type { Store } from "./store.ts";
import { groupWarnings, type WarningGroup } from "./warning-groups.ts";

/** Groups shown before the user asks for all. */
const MAX_SHOWN = 3;

export function WarningsList({ store }: { store: Store }): JSX.Element {
  const [showsAll, setShowsAll] = useState(false);
  const groups = groupWarnings(store.warnings);
  const shown = showsAll ? groups : groups.slice(0, MAX_SHOWN);
  const hidden = groups.length - shown.length;
  return (
    <section class={groups.length === 0 ? "warnings" : "warnings has-warnings"} aria-label="Warnings">
      <h2>Warnings ({formatCount(groups.length)})</h2>
      {groups.length === 0 ? <p class="aside">No warnings.</p> : null}
      <ul>
        {shown.map((group) => (
          <li key={`${group.warning.code} ${group.warning.pid} ${group.warning.fd} ${group.at}`}>
            <WarningButton
              group={group}
              hasSeveral={store.history.hasSeveralProcesses}
              onClick={() => void showWarning(store, group.warning)}
            />
          </li>
        ))}
      </ul>
      {hidden > 0 || showsAll ? (
        <button type="button" aria-expanded={showsAll} onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? "Show fewer" : `Show ${formatCount(hidden)} more`}
        </button>
      ) : null}
    </section>
  );
}

interface WarningButtonProps {
  group: WarningGroup;
  /** There are several processes. */
  hasSeveral: boolean;
  onClick: () => void;
}

function WarningButton({ group, hasSeveral, onClick }: WarningButtonProps): JSX.Element {
  const { warning, count, at } = group;
  return (
    <button type="button" title="Show the event, the fd and the source line" onClick={onClick}>
      <span class="warning-head">
        <span aria-hidden="true">⚠ </span>
        <b>{warning.code}</b>
        {count > 1 ? <span class="count"> × {formatCount(count)}</span> : null}
        {warning.fd === null ? null : <span> fd {formatFd(fdKey(warning.fd, warning.pid), hasSeveral)}</span>}
        <small> {formatDuration(warning.us)}</small>
      </span>
      <span class="message">{warning.message}</span>
      {at === undefined ? null : <code>{at}</code>}
    </button>
  );
}
