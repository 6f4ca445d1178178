/** @jsxImportSource preact */
// Pause, step, go on: the terminal's verbs and its keys; and breakpoints.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import * as constants from "../../../kernel/constants.ts";
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../../../kernel/constants.ts";
import { formatMask } from "../../../kernel/format-mask.ts";
import type { PageBreakpoint } from "../messages.ts";
import type { Store } from "./store.ts";

const SPEEDS: readonly [perSecond: number, name: string][] = [
  [0, "full speed"],
  [10, "10 events a second"],
  [3, "3 events a second"],
  [1, "1 event a second"],
];

export function Controls({ store }: { store: Store }): JSX.Element {
  const { state, mayControl, isLive, isStopped } = store;
  const hasLoop = store.hello?.source === "live";
  const isOver = state?.run === "ended" && hasLoop;
  const cannotOrder = hasLoop && isLive && (!mayControl || isOver);
  const cannotStep = cannotOrder || (hasLoop && isLive && !isStopped);
  return (
    <div class="controls" role="toolbar" aria-label="Controls">
      {hasLoop ? (
        <button type="button" class="main" disabled={!mayControl || isOver} onClick={() => store.pauseOrGo()}>
          {isStopped ? "Go" : "Pause"} <kbd>space</kbd>
        </button>
      ) : null}
      <button type="button" disabled={cannotStep} onClick={() => store.step()} title="to the next event">
        Step <kbd>s</kbd>
      </button>
      <button type="button" disabled={cannotStep} onClick={() => store.next()} title="to the next return of epoll_wait">
        Next wait <kbd>n</kbd>
      </button>
      <button
        type="button"
        disabled={cannotStep}
        onClick={() => store.turnOver()}
        title="until this descriptor's turn is over"
      >
        Return <kbd>r</kbd>
      </button>
      <button type="button" disabled={cannotStep} onClick={() => store.goOn()} title="to the next breakpoint">
        Continue <kbd>c</kbd>
      </button>
      <span class="group">
        <button type="button" onClick={() => back(store)} title="the event before">
          ◂ <kbd>←</kbd>
        </button>
        <button type="button" onClick={() => forward(store)} title="the event after">
          ▸ <kbd>→</kbd>
        </button>
        {hasLoop && !isLive ? (
          <button type="button" onClick={() => store.set({ cursor: undefined })}>
            Now <kbd>end</kbd>
          </button>
        ) : null}
      </span>
      {hasLoop ? (
        <label>
          <span class="hidden">Speed</span>
          <select
            value={state?.speed ?? 0}
            disabled={!mayControl || isOver}
            onChange={(e) => void store.order({ kind: "speed", perSecond: Number(e.currentTarget.value) })}
          >
            {SPEEDS.map(([perSecond, name]) => (
              <option key={perSecond} value={perSecond}>
                {name}
              </option>
            ))}
          </select>
        </label>
      ) : null}
      <label class="check">
        <input
          type="checkbox"
          checked={store.isNumeric}
          onChange={(e) => store.set({ isNumeric: e.currentTarget.checked })}
        />{" "}
        numbers, as in the document
      </label>
    </div>
  );
}

/** The same keys as at the prompt of --step. */
export function onKey(store: Store, event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || /^(?:INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
  const isButton = /^(?:BUTTON|SUMMARY)$/.test(target.tagName); // the key is its own, then
  const mayOrder = store.mayControl || !store.isLive;
  const actions: Record<string, (() => void) | undefined> = {
    " ": isButton || !store.mayControl ? undefined : () => store.pauseOrGo(),
    s: mayOrder ? () => store.step() : undefined,
    n: mayOrder ? () => store.next() : undefined,
    r: mayOrder ? () => store.turnOver() : undefined,
    c: mayOrder ? () => store.goOn() : undefined,
    ArrowLeft: () => back(store),
    ArrowRight: () => forward(store),
    Home: () => store.moveTo(store.tape.start),
    End: () => store.moveTo(store.tape.end),
    "+": () => faster(store, 1),
    "-": () => faster(store, -1),
  };
  const action = actions[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
}

function back(store: Store): void {
  store.move(-1, ({ type }) => type !== "iteration" && type !== "begin");
}

/** At the newest event of a loop that stands still, there is one more to be had. */
function forward(store: Store): void {
  if (store.isLive) {
    if (store.isStopped && store.mayControl) store.step();
  } else if (!store.move(1, ({ type }) => type !== "iteration" && type !== "begin")) {
    store.moveTo(store.tape.end);
  }
}

function faster(store: Store, by: number): void {
  if (!store.mayControl || store.hello?.source !== "live") return;
  const now = SPEEDS.findIndex(([perSecond]) => perSecond === store.state?.speed);
  const to = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, now - by))];
  if (to !== undefined && to[0] !== store.state?.speed) void store.order({ kind: "speed", perSecond: to[0] });
}

const PLACES: Record<string, readonly string[]> = {
  fd: [],
  iteration: [],
  event: ["accept", "recv", "send", "ctl", "shutdown", "close", "warning"],
  mask: [EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLRDHUP, EPOLLERR].map((mask) => formatMask(mask)),
  errno: ["EAGAIN", "ECONNRESET", "EPIPE", "EMFILE"],
  state: ["new", "head", "body", "handler", "sending", "idle", "closing", "lingering"],
};

export function Breakpoints({ store }: { store: Store }): JSX.Element {
  const [on, choose] = useState("event");
  const [text, write] = useState("accept");
  const names = PLACES[on] ?? [];
  const errnos = new Map(store.hello?.errnos.map(([errno, name]) => [name, errno]));
  const value = (): number | string => {
    if (on === "mask") return (constants as unknown as Record<string, number>)[text] ?? 0;
    return on === "errno" ? (errnos.get(text) ?? 0) : names.length > 0 ? text : Number(text);
  };
  return (
    <section class="breakpoints" aria-label="Breakpoints">
      <h2>Stop at</h2>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void store.order({ kind: "break", on: on as PageBreakpoint["on"], value: value() });
        }}
      >
        <select
          aria-label="kind"
          value={on}
          onChange={(e) => {
            choose(e.currentTarget.value);
            write(PLACES[e.currentTarget.value]?.[0] ?? "");
          }}
        >
          {Object.keys(PLACES).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>{" "}
        {names.length > 0 ? (
          <select aria-label="which" value={text} onChange={(e) => write(e.currentTarget.value)}>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        ) : (
          <input
            aria-label="number"
            type="number"
            min="0"
            required
            value={text}
            onInput={(e) => write(e.currentTarget.value)}
          />
        )}{" "}
        <button type="submit" disabled={!store.mayControl}>
          Add
        </button>
      </form>
      <ul>
        {(store.state?.breakpoints ?? []).map((one) => (
          <li key={one.id} class={store.state?.breakpoint === one.id ? "here" : ""}>
            {describe(one, errnos)}, hit {one.hits} {one.hits === 1 ? "time" : "times"}{" "}
            <button
              type="button"
              disabled={!store.mayControl}
              onClick={() => void store.order({ kind: "clear", id: one.id })}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function describe({ on, value }: PageBreakpoint, errnos: ReadonlyMap<string, number>): string {
  if (on === "mask") return formatMask(Number(value));
  if (on === "errno") return [...errnos].find(([, errno]) => errno === value)?.[0] ?? `errno ${value}`;
  return on === "event" ? String(value) : `${on} ${value}`;
}
