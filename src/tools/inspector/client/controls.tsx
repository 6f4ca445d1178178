/** @jsxImportSource preact */
// The toolbar: pause, continue and step, navigation in the history, slow motion, and the format of masks.

import type { JSX } from "preact";
import { SPEEDS } from "./shortcuts.ts";
import type { Store } from "./store.ts";

export function Controls({ store }: { store: Store }): JSX.Element {
  const { state, canControl, isLive, isFollowing, isPaused, isConnected } = store;
  const canRun = isLive && canControl && isConnected && state?.run !== "ended";
  const canStep = isFollowing ? canRun && isPaused : true; // in the history, stepping only moves the selection
  return (
    <div class="controls" role="toolbar" aria-label="Controls">
      {isLive ? (
        <ToolButton
          isPrimary
          label={isPaused ? "Continue" : "Pause"}
          shortcut="space"
          title={isPaused ? "Run to the next breakpoint (also: c)" : "Pause at the next event"}
          isDisabled={!canRun}
          onClick={() => store.pauseOrContinue()}
        />
      ) : (
        <ToolButton
          label="Continue"
          shortcut="c"
          title="Go to the next event that a breakpoint matches"
          onClick={() => store.continue()}
        />
      )}
      <ToolButton
        label="Step"
        shortcut="s"
        title="Run to the next event"
        isDisabled={!canStep}
        onClick={() => store.step()}
      />
      <ToolButton
        label="Next wait"
        shortcut="n"
        title="Run until epoll_wait returns"
        isDisabled={!canStep}
        onClick={() => store.nextWait()}
      />
      <ToolButton
        label="Step out"
        shortcut="r"
        title="Run until the loop is done with this fd"
        isDisabled={!canStep}
        onClick={() => store.stepOut()}
      />
      <span class="group">
        <ToolButton label="◂" shortcut="←" title="Previous event" onClick={() => store.previousEvent()} />
        <ToolButton label="▸" shortcut="→" title="Next event" onClick={() => store.nextEvent()} />
        {isFollowing ? null : (
          <ToolButton
            label="Latest"
            shortcut="end"
            title={isLive ? "Follow the running loop" : "Last event of the trace"}
            onClick={() => store.moveTo(store.history.end)}
          />
        )}
      </span>
      {isLive ? <SpeedSelect store={store} isDisabled={!canRun} /> : null}
      <label class="check">
        <input
          type="checkbox"
          checked={store.isNumeric}
          onChange={(e) => store.set({ isNumeric: e.currentTarget.checked })}
        />{" "}
        Masks as numbers
      </label>
    </div>
  );
}

interface ToolButtonProps {
  label: string;
  shortcut: string;
  title: string;
  isPrimary?: boolean;
  isDisabled?: boolean;
  onClick: () => void;
}

function ToolButton({ label, shortcut, title, isPrimary, isDisabled, onClick }: ToolButtonProps): JSX.Element {
  return (
    <button type="button" class={isPrimary ? "primary" : ""} title={title} disabled={isDisabled} onClick={onClick}>
      {label} <kbd>{shortcut}</kbd>
    </button>
  );
}

function SpeedSelect({ store, isDisabled }: { store: Store; isDisabled: boolean }): JSX.Element {
  return (
    <select
      aria-label="Speed"
      value={store.state?.speed ?? 0}
      disabled={isDisabled}
      onChange={(e) => void store.send({ kind: "set-speed", perSecond: Number(e.currentTarget.value) })}
    >
      {SPEEDS.map(({ eventsPerSecond, label }) => (
        <option key={eventsPerSecond} value={eventsPerSecond}>
          {label}
        </option>
      ))}
    </select>
  );
}
