/** @jsxImportSource preact */
// The breakpoints of the page and of the prompt, and the form that adds one.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import * as constants from "../../../kernel/constants.ts";
import { formatMask } from "../../../kernel/format-mask.ts";
import { CONNECTION_STATES, EVENT_TYPES } from "../../breakpoint-values.ts";
import type { ListedBreakpoint } from "../messages.ts";
import type { Store } from "./store.ts";

/** The kinds that can be added on the page. The prompt has others: those need the program. */
type BreakpointKind = Exclude<ListedBreakpoint["on"], "line" | "watch">;

/** The values to choose from; a kind without any takes a number. */
const CHOICES: Record<BreakpointKind, readonly string[]> = {
  event: EVENT_TYPES,
  fd: [],
  pid: [],
  tid: [],
  iteration: [],
  state: CONNECTION_STATES,
  mask: ["EPOLLIN", "EPOLLOUT", "EPOLLHUP", "EPOLLRDHUP", "EPOLLERR"],
  errno: ["EAGAIN", "ECONNRESET", "EPIPE", "EMFILE"],
};

export function Breakpoints({ store }: { store: Store }): JSX.Element {
  const errnos = new Map(store.hello?.errnos.map(([errno, name]) => [name, errno]));
  const { isLive, canControl, savedBreakpoints } = store;
  const canChange = isLive ? canControl : true; // those of a saved trace are the page's own
  const breakpoints = isLive ? (store.state?.breakpoints ?? []) : savedBreakpoints.list;
  return (
    <section class="breakpoints" aria-label="Breakpoints">
      <h2>Breakpoints</h2>
      <BreakpointForm
        isDisabled={!canChange}
        onAdd={(on, text) => store.addBreakpoint(on, parseValue(on, text, errnos))}
      />
      {breakpoints.length === 0 ? <p class="aside">No breakpoints.</p> : null}
      <ul>
        {breakpoints.map((breakpoint) => (
          <li key={breakpoint.id} class={store.state?.breakpoint === breakpoint.id ? "is-hit" : ""}>
            {formatBreakpoint(breakpoint, errnos)}
            {breakpoint.condition === undefined ? "" : ` if ${breakpoint.condition}`}
            {isLive ? `, hit ${breakpoint.hits} ${breakpoint.hits === 1 ? "time" : "times"}` : ""}{" "}
            {breakpoint.owner === "prompt" ? (
              <small>
                {breakpoint.isEnabled ? "" : "disabled, "}breakpoint {breakpoint.id} of the prompt
              </small>
            ) : (
              <button type="button" disabled={!canChange} onClick={() => store.removeBreakpoint(breakpoint.id)}>
                Remove
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

interface BreakpointFormProps {
  isDisabled: boolean;
  onAdd: (on: BreakpointKind, text: string) => void;
}

function BreakpointForm({ isDisabled, onAdd }: BreakpointFormProps): JSX.Element {
  const [on, setOn] = useState<BreakpointKind>("event");
  const [text, setText] = useState("accept");
  const choices = CHOICES[on];
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        onAdd(on, text);
      }}
    >
      <select
        aria-label="Break on"
        value={on}
        onChange={(e) => {
          const selected = e.currentTarget.value as BreakpointKind;
          setOn(selected);
          setText(CHOICES[selected][0] ?? "");
        }}
      >
        {Object.keys(CHOICES).map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>{" "}
      {choices.length > 0 ? (
        <select aria-label="Value" value={text} onChange={(e) => setText(e.currentTarget.value)}>
          {choices.map((choice) => (
            <option key={choice}>{choice}</option>
          ))}
        </select>
      ) : (
        <input
          aria-label="Number"
          type="number"
          min="0"
          required
          value={text}
          onInput={(e) => setText(e.currentTarget.value)}
        />
      )}{" "}
      <button type="submit" disabled={isDisabled}>
        Add
      </button>
    </form>
  );
}

function parseValue(on: BreakpointKind, text: string, errnos: ReadonlyMap<string, number>): number | string {
  switch (on) {
    case "mask":
      return (constants as unknown as Record<string, number>)[text] ?? 0;
    case "errno":
      return errnos.get(text) ?? 0;
    case "fd":
    case "iteration":
      return Number(text);
    default:
      return text;
  }
}

function formatBreakpoint({ on, value }: ListedBreakpoint, errnos: ReadonlyMap<string, number>): string {
  switch (on) {
    case "mask":
      return formatMask(Number(value));
    case "errno":
      return [...errnos].find(([, errno]) => errno === value)?.[0] ?? `errno ${value}`;
    case "event":
    case "line":
      return String(value);
    default:
      return `${on} ${value}`;
  }
}
