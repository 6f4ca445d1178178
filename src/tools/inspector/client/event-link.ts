// The address of an event: `#e=120` selects event 120, and the address follows the selection.

import type { Store } from "./store.ts";

/** Browsers limit how often a page may change its address. */
const UPDATE_DELAY_MS = 400;

/** Returns the sequence number of the event that an address names. */
export function seqOf(hash: string): number | undefined {
  const seq = /[#&]e=(\d{1,15})(?:&|$)/.exec(hash)?.[1];
  return seq === undefined ? undefined : Number(seq);
}

export class EventLink {
  /** The event to select as soon as the history has it. */
  #wanted: number | undefined = seqOf(location.hash);
  #shown: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(store: () => Store) {
    addEventListener("hashchange", () => {
      this.#wanted = seqOf(location.hash);
      this.onRender(store());
    });
  }

  /** To be called before each rendering: selects the event of the address, or changes the address to the selected event. */
  onRender(store: Store): void {
    if (this.#wanted !== undefined) return this.#select(store, this.#wanted);
    const seq = store.cursor === undefined ? undefined : store.history.event(store.cursor)?.seq;
    if (seq === this.#shown) return;
    this.#shown = seq;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => history.replaceState(history.state, "", here(seq)), UPDATE_DELAY_MS);
  }

  #select(store: Store, seq: number): void {
    if (store.history.end === 0) return; // not loaded yet
    this.#wanted = undefined;
    const position = store.history.positionOf(seq);
    if (position === undefined) return store.set({ error: `Event ${seq} is not in the history.` });
    this.#shown = seq;
    store.moveTo(position);
  }
}

function here(seq: number | undefined): string {
  return location.pathname + location.search + (seq === undefined ? "" : `#e=${seq}`);
}
