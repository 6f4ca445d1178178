/** @jsxImportSource preact */
// The list of events: one row per event or run of empty waits. Only the rows near the visible ones are rendered.

import type { JSX } from "preact";
import { useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import type { EventRow } from "./event-rows.ts";
import { formatCount, formatLine } from "./format.ts";
import { isFailure } from "./range-totals.ts";
import type { Store } from "./store.ts";

/** The height of a row with one line of text. Longer texts wrap. */
const ROW_HEIGHT = 24;
/** Rows rendered above and below the visible ones. */
const OVERSCAN = 25;
/** The number of rows rendered before the list is laid out. */
const INITIAL_ROWS = 60;

interface Rendered {
  from: number;
  to: number;
}

export function EventList({ store }: { store: Store }): JSX.Element {
  const { browser, history, isNumeric, isFollowing, isPaused } = store;
  const { matches } = browser;
  const list = useRef<HTMLOListElement>(null);
  /** While the pointer or the focus is in the list, rows keep their places: what the user aims at must not move away. */
  const isHeld = useRef(false);
  const shownSeq = useRef(-1);
  /** The sequence number of the row that the keyboard is at. It stays there while events arrive. */
  const [activeSeq, setActiveSeq] = useState<number | undefined>(undefined);
  const rendered = useRef<Rendered>({ from: 0, to: INITIAL_ROWS });
  const [, rerender] = useReducer((count: number) => count + 1, 0);

  const selectedIndex = matches.indexAt(browser.selected);
  const selected = browser.isMatch(browser.selected) ? matches.at(selectedIndex) : undefined;
  const isSticky = isFollowing && (!isHeld.current || isPaused);
  if (isSticky) rendered.current = { from: matches.end - INITIAL_ROWS, to: matches.end };
  const from = Math.max(matches.start, Math.min(rendered.current.from, matches.end));
  const to = Math.max(from, Math.min(matches.end, rendered.current.to));
  const rows = matches.slice(from, to);
  const active = rows.find(({ seq }) => seq === activeSeq) ?? rows.find((row) => row === selected);

  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return;
    if (isSticky) {
      element.scrollTop = element.scrollHeight;
      shownSeq.current = selected?.seq ?? -1;
      return;
    }
    // Another event was selected: by a key, in the timeline, or by a link.
    if (selected === undefined || isFollowing || selected.seq === shownSeq.current) return;
    if (selectedIndex < from || selectedIndex >= to) {
      rendered.current = { from: selectedIndex - 2 * OVERSCAN, to: selectedIndex + 2 * OVERSCAN };
      rerender(0); // it is scrolled to once it is rendered
      return;
    }
    shownSeq.current = selected.seq;
    element.querySelector(".is-selected")?.scrollIntoView({ block: "nearest" });
  });

  const onScroll = (): void => {
    const element = list.current;
    if (element === null || isSticky) return;
    const visible = visibleRows(element, matches.start, from);
    const next = { from: visible.from - OVERSCAN, to: visible.to + OVERSCAN };
    // Renders in steps, and not at every pixel.
    const isFar = Math.max(Math.abs(next.from - from), Math.abs(next.to - to)) > OVERSCAN / 2;
    if (!isFar) return;
    rendered.current = next;
    rerender(0);
  };
  const select = (row: EventRow | undefined): void => {
    if (row === undefined) return;
    setActiveSeq(row.seq);
    store.moveTo(row.last);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const current = active === undefined ? selectedIndex : matches.indexAt(active.first);
    select(matches.at(Math.max(matches.start, Math.min(matches.end - 1, current + step))));
  };
  const hold = (isHolding: boolean): void => {
    isHeld.current = isHolding;
    if (!isHolding) setActiveSeq(undefined);
  };
  const waiting = isFollowing && !isSticky ? matches.end - to : 0;
  return (
    <div class="event-list">
      <ol
        ref={list}
        class="events"
        role="listbox"
        aria-label="Events"
        tabIndex={0}
        aria-activedescendant={active === undefined ? undefined : `event-${active.seq}`}
        onScroll={onScroll}
        onKeyDown={onKeyDown}
        onFocus={() => {
          hold(true);
          setActiveSeq(selected?.seq);
        }}
        onBlur={() => hold(false)}
        onPointerEnter={(event) => event.pointerType === "mouse" && (isHeld.current = true)}
        onPointerLeave={() => (isHeld.current = document.activeElement === list.current)}
      >
        <li role="presentation" style={{ height: `${(from - matches.start) * ROW_HEIGHT}px` }} />
        {rows.map((row) => (
          <Row
            key={row.seq}
            row={row}
            event={history.event(row.last)}
            isNumeric={isNumeric}
            hasOrigin={history.hasSeveralThreads}
            isSelected={row === selected}
            isActive={row === active}
            index={matches.indexAt(row.first) - matches.start}
            total={matches.end - matches.start}
            onSelect={() => select(row)}
          />
        ))}
        <li role="presentation" style={{ height: `${(matches.end - to) * ROW_HEIGHT}px` }} />
      </ol>
      {waiting > 0 ? (
        <button type="button" class="newer" onClick={() => store.moveTo(history.end)}>
          {formatCount(waiting)} newer
        </button>
      ) : null}
    </div>
  );
}

interface RowProps {
  row: EventRow;
  event: ReturnType<Store["history"]["event"]>;
  isNumeric: boolean;
  hasOrigin: boolean;
  isSelected: boolean;
  isActive: boolean;
  index: number;
  total: number;
  onSelect: () => void;
}

function Row({
  row,
  event,
  isNumeric,
  hasOrigin,
  isSelected,
  isActive,
  index,
  total,
  onSelect,
}: RowProps): JSX.Element | null {
  if (event === undefined) return null;
  const classes = ["event", event.type];
  if (isSelected) classes.push("is-selected");
  if (isActive) classes.push("is-active");
  if (isFailure(event)) classes.push("has-failed");
  return (
    <li
      id={`event-${row.seq}`}
      role="option"
      class={classes.join(" ")}
      aria-selected={isSelected}
      aria-setsize={total}
      aria-posinset={index + 1}
      onClick={onSelect}
    >
      {row.omitted > 0 ? <i>{formatCount(row.omitted)} events skipped </i> : null}
      {formatLine(event, isNumeric, hasOrigin)}
      {row.count > 1 ? <b class="count"> × {formatCount(row.count)}</b> : null}
    </li>
  );
}

/**
 * Returns the rows that are visible: by their measured places if they are rendered, and otherwise by the height of a row.
 *
 * @param start the index of the first row of the list
 * @param from the index of the first rendered row
 */
function visibleRows(element: HTMLElement, start: number, from: number): Rendered {
  const { top, bottom } = element.getBoundingClientRect();
  const places = [...element.querySelectorAll(".event")].map((row) => row.getBoundingClientRect());
  const first = places.findIndex((place) => place.bottom >= top);
  const last = places.findLastIndex((place) => place.top <= bottom);
  if (first >= 0 && last >= first) return { from: from + first, to: from + last + 1 };
  const index = start + Math.floor(element.scrollTop / ROW_HEIGHT);
  return { from: index, to: index + Math.ceil(element.clientHeight / ROW_HEIGHT) };
}
