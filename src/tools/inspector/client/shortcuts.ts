// Keyboard shortcuts, and the speeds of slow motion. The letters are those of the terminal debugger.

import type { Store } from "./store.ts";

/** From fast to slow. */
export const SPEEDS: readonly { eventsPerSecond: number; label: string }[] = [
  { eventsPerSecond: 0, label: "full speed" },
  { eventsPerSecond: 10, label: "10 events/s" },
  { eventsPerSecond: 3, label: "3 events/s" },
  { eventsPerSecond: 1, label: "1 event/s" },
];

export function onKeyDown(store: Store, event: KeyboardEvent): void {
  const { tagName } = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || /^(?:INPUT|SELECT|TEXTAREA)$/.test(tagName)) return;
  if (event.key === " " && /^(?:BUTTON|SUMMARY)$/.test(tagName)) return; // the space bar presses the focused button
  const action = actionFor(store, event.key);
  if (action === undefined) return;
  event.preventDefault();
  action();
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
    case "ArrowLeft":
      return () => store.previousEvent();
    case "ArrowRight":
      return () => store.nextEvent();
    case "Home":
      return () => store.moveTo(store.history.start);
    case "End":
      return () => store.moveTo(store.history.end);
    case "+":
      return () => changeSpeed(store, -1);
    case "-":
      return () => changeSpeed(store, 1);
    default:
      return undefined;
  }
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
