// Moves to other events: matches of the filter, warnings, and the event that a warning is about.

import { fdKey } from "../../../trace/fd-key.ts";
import { formatPeer } from "../../../trace/format.ts";
import type { Warning } from "../../debugger/sampler.ts";
import type { Store } from "./store.ts";

/** Selects the first event that has a line. */
export function moveToStart(store: Store): void {
  const { rows } = store.browser;
  store.moveTo(rows.at(rows.start)?.first ?? store.history.start);
}

/** Selects the next (1) or previous (-1) row that matches the filter. */
export function moveToMatch(store: Store, direction: 1 | -1): void {
  const { browser } = store;
  const position = browser.matchFrom(browser.selected, direction);
  if (position !== undefined) store.moveTo(position);
}

/** Selects the next (1) or previous (-1) warning. */
export function moveToWarning(store: Store, direction: 1 | -1): void {
  store.move(direction, ({ type }) => type === "warning");
}

/** Selects the event of a warning, and the fd that it is about, and shows the source line. */
export async function showWarning(store: Store, warning: Warning): Promise<void> {
  const { seq, fd, pid, at } = warning;
  const position = store.history.positionOf(seq);
  if (position === undefined) {
    store.showLostWarning(warning);
  } else {
    store.moveTo(position);
    if (at !== undefined) store.showSource(at);
  }
  if (fd === null) return;
  await store.selectFd(fdKey(fd, pid));
  document.querySelector("tr.is-selected")?.scrollIntoView({ block: "nearest" });
}

/** Shows all events of the fd, from when it was opened until it is closed. */
export function followFd(store: Store, fd: number, pid: number | undefined, position: number): void {
  const entry = [position, position - 1]
    .flatMap((at) => store.history.view(at).entries)
    .find((one) => one.fd === fd && one.pid === pid);
  if (entry === undefined) return;
  const address = entry.address === undefined ? "" : formatPeer(entry.address);
  store.follow({ fd, pid, openedUs: entry.sinceUs, address });
  document.querySelector(".connection")?.scrollIntoView({ block: "nearest" });
}

/** Filters by the connection that an fd belongs to at a position, from when it was opened until it is closed. */
export function filterByConnection(store: Store, fd: number, pid: number | undefined, position: number): void {
  const { history } = store;
  const opened = history.find(position + 1, -1, (event) => {
    if (event.pid !== pid) return false;
    return event.type === "accept" || event.type === "create" || event.type === "open"
      ? event.result === fd
      : event.type === "close" && event.fd === fd;
  });
  const event = opened === undefined ? undefined : history.event(opened);
  const isOwn = event === undefined || event.type !== "close" || opened === position;
  const seq = event === undefined ? (history.event(history.start)?.seq ?? 0) : event.seq + (isOwn ? 0 : 1);
  store.browser.setQuery(`conn:${pid === undefined ? "" : `${pid}:`}${fd}@${seq}`);
}
