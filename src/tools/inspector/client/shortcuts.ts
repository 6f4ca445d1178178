// Keyboard shortcuts, and the speeds of slow motion. The letters are those of the terminal debugger.

import { hasLine } from "../../../trace/format.ts";
import { moveToMatch, moveToStart, moveToWarning } from "./event-navigation.ts";
import type { Store } from "./store.ts";

/** The ids of the filter and of the list of shortcuts. */
export const FILTER_INPUT_ID = "event-filter";
export const SHORTCUT_HELP_ID = "shortcut-help";

export function openShortcutHelp(): void {
  const dialog = document.getElementById(SHORTCUT_HELP_ID);
  if (dialog instanceof HTMLDialogElement) dialog.showModal();
}

/** From fast to slow. */
export const SPEEDS: readonly { eventsPerSecond: number; label: string }[] = [
  { eventsPerSecond: 0, label: "full speed" },
  { eventsPerSecond: 10, label: "10 events/s" },
  { eventsPerSecond: 3, label: "3 events/s" },
  { eventsPerSecond: 1, label: "1 event/s" },
];

/** The shortcuts, as the page lists them. */
export const SHORTCUTS: readonly { keys: string; effect: string }[] = [
  { keys: "Space", effect: "Pause or continue" },
  { keys: "s", effect: "Step to the next event" },
  { keys: "n", effect: "Continue until epoll_wait returns" },
  { keys: "r", effect: "Continue until this fd has been handled" },
  { keys: "c", effect: "Continue until a breakpoint is hit" },
  { keys: "← →", effect: "View the previous or next event" },
  { keys: "↑ ↓", effect: "In the event list: view the previous or next row" },
  { keys: "Home End", effect: "View the first or the latest event" },
  { keys: "/", effect: "Filter the events" },
  { keys: "m Shift+M", effect: "Next or previous match of the filter" },
  { keys: "w Shift+W", effect: "Next or previous warning" },
  { keys: "Shift+← Shift+→", effect: "Select a range of events" },
  { keys: "Escape", effect: "Clear the range" },
  { keys: "+ -", effect: "Faster or slower; in the timeline: zoom in or out" },
  { keys: "PageUp PageDown", effect: "In the timeline: earlier or later" },
  { keys: "?", effect: "Show the shortcuts" },
];

const DISABLED_KEY = "epoll-hello-no-letter-shortcuts";

/** Whether shortcuts of a single character apply. Speech input and some keyboards press them by accident (WCAG 2.1.4). */
export function areLettersEnabled(): boolean {
  try {
    return localStorage.getItem(DISABLED_KEY) === null;
  } catch {
    return true; // storage is disabled
  }
}

export function setLettersEnabled(isEnabled: boolean): void {
  try {
    if (isEnabled) localStorage.removeItem(DISABLED_KEY);
    else localStorage.setItem(DISABLED_KEY, "1");
  } catch {
    // storage is disabled
  }
}

export function onKeyDown(store: Store, event: KeyboardEvent): void {
  const { tagName } = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || /^(?:INPUT|SELECT|TEXTAREA)$/.test(tagName)) return;
  if (event.key === " " && /^(?:BUTTON|SUMMARY)$/.test(tagName)) return; // the space bar presses the focused button
  if (event.key.length === 1 && event.key !== " " && !areLettersEnabled()) return;
  if (document.querySelector("dialog[open]") !== null) return;
  const action = event.shiftKey ? shiftedAction(store, event.key) : actionFor(store, event.key);
  if (action === undefined) return;
  event.preventDefault();
  action();
}

function shiftedAction(store: Store, key: string): (() => void) | undefined {
  switch (key) {
    case "ArrowLeft":
      return () => extendRange(store, -1);
    case "ArrowRight":
      return () => extendRange(store, 1);
    case "M":
      return () => moveToMatch(store, -1);
    case "W":
      return () => moveToWarning(store, -1);
    default:
      return key.length === 1 ? actionFor(store, key) : undefined; // such as + and ?
  }
}

function actionFor(store: Store, key: string): (() => void) | undefined {
  const canStep = store.canControl || !store.isFollowing;
  switch (key) {
    case " ":
      return store.canControl ? () => store.pauseOrContinue() : undefined;
    case "s":
      return canStep ? () => store.step() : undefined;
    case "n":
      return canStep ? () => store.nextWait() : undefined;
    case "r":
      return canStep ? () => store.stepOut() : undefined;
    case "c":
      return canStep ? () => store.continue() : undefined;
    case "m":
      return () => moveToMatch(store, 1);
    case "w":
      return () => moveToWarning(store, 1);
    case "/":
      return () => document.getElementById(FILTER_INPUT_ID)?.focus();
    case "?":
      return openShortcutHelp;
    case "ArrowLeft":
      return () => store.previousEvent();
    case "ArrowRight":
      return () => store.nextEvent();
    case "Home":
      return () => moveToStart(store);
    case "End":
      return () => store.moveTo(store.history.end);
    case "Escape":
      return store.browser.range === undefined ? undefined : () => store.browser.clearRange();
    case "+":
      return () => changeSpeed(store, -1);
    case "-":
      return () => changeSpeed(store, 1);
    default:
      return undefined;
  }
}

/** Moves the selection by an event, and extends the range to it. */
function extendRange(store: Store, direction: 1 | -1): void {
  const { browser } = store;
  if (browser.range === undefined) browser.beginRange();
  if (store.move(direction, hasLine)) browser.extendRange(store.cursor ?? store.history.end - 1);
}

/** @param by how far to move in SPEEDS */
function changeSpeed(store: Store, by: number): void {
  if (!store.canControl || !store.isLive) return;
  const current = SPEEDS.findIndex(({ eventsPerSecond }) => eventsPerSecond === store.state?.speed);
  const next = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, current + by))];
  if (next !== undefined && next.eventsPerSecond !== store.state?.speed) {
    void store.send({ kind: "set-speed", perSecond: next.eventsPerSecond });
  }
}
