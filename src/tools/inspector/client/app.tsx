/** @jsxImportSource preact */
// The page: a header with the state of the loop, and one of two views, the event loop or the lessons.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { LoopState } from "../messages.ts";
import { Breakpoints } from "./breakpoints.tsx";
import { ConnectionPanel } from "./connection-panel.tsx";
import { Controls } from "./controls.tsx";
import { EventDetail } from "./event-detail.tsx";
import { FdTable } from "./fd-table.tsx";
import { formatDuration } from "./format.ts";
import { KernelLists } from "./kernel-lists.tsx";
import { LessonPanel } from "./lessons.tsx";
import { LoopDiagram } from "./loop-diagram.tsx";
import type { Store } from "./store.ts";
import { TestClientPanel } from "./test-clients.tsx";
import { Timeline } from "./timeline.tsx";
import { Timings } from "./timings.tsx";

const MAX_WARNINGS = 20;

const VIEW_ONLY = "View only. To control the server, open the second URL that the terminal shows.";

const RUN_LABELS: Record<LoopState["run"], string> = {
  running: "Running.",
  pausing: "Pausing at the next event.",
  paused: "The kernel keeps running: its queues fill up, and clients may time out.",
  ended: "The server has stopped.",
};

type ViewName = "loop" | "lessons";

export function App({ store }: { store: Store }): JSX.Element {
  const [view, setView] = useState<ViewName>("loop");
  const { hello, error } = store;
  if (hello === undefined) {
    const text = store.rejection ?? (store.isConnected ? "Loading…" : "Connecting to the server…");
    return (
      <p class="loading" role="status">
        {text}
      </p>
    );
  }
  return (
    <>
      <header>
        <h1>
          epoll-hello <small>{hello.name}</small>
        </h1>
        <Status store={store} />
        <nav role="tablist" aria-label="Views">
          <Tab label="Event loop" isSelected={view === "loop"} onSelect={() => setView("loop")} />
          <Tab label="Lessons" isSelected={view === "lessons"} onSelect={() => setView("lessons")} />
        </nav>
      </header>
      {error === undefined ? null : (
        <p class="error" role="alert">
          {error}{" "}
          <button type="button" onClick={() => store.set({ error: undefined })}>
            Dismiss
          </button>
        </p>
      )}
      <main>{view === "loop" ? <LoopView store={store} /> : <LessonPanel store={store} />}</main>
    </>
  );
}

interface TabProps {
  label: string;
  isSelected: boolean;
  onSelect: () => void;
}

function Tab({ label, isSelected, onSelect }: TabProps): JSX.Element {
  return (
    <button type="button" role="tab" aria-selected={isSelected} onClick={onSelect}>
      {label}
    </button>
  );
}

function LoopView({ store }: { store: Store }): JSX.Element {
  const { view, isNumeric, isLive } = store;
  return (
    <>
      <Controls store={store} />
      <div class={store.isBusy ? "loop is-busy" : "loop"} data-position={view.position}>
        <div class="side">
          <LoopDiagram store={store} view={view} />
          <KernelLists
            view={view}
            kernel={store.isFollowing ? store.kernel : undefined}
            isNumeric={isNumeric}
            onSelectFd={(fd) => void store.selectFd(fd)}
          />
          <Timings store={store} />
          <Warnings store={store} />
        </div>
        <div class="middle">
          <Timeline
            history={store.history}
            position={view.position}
            isNumeric={isNumeric}
            onSelect={(position) => store.moveTo(position)}
          />
          <ConnectionPanel store={store} />
          <FdTable store={store} view={view} />
          {isLive ? <TestClientPanel store={store} /> : null}
        </div>
        <div class="side">
          <EventDetail store={store} view={view} />
          <Breakpoints store={store} />
        </div>
      </div>
    </>
  );
}

function Status({ store }: { store: Store }): JSX.Element {
  const { state, canControl, isLive, isFollowing, isConnected, rejection } = store;
  const run = state?.run ?? "running";
  const sentences = isLive
    ? [
        rejection ?? "",
        isConnected || rejection !== undefined ? "" : "The connection to the server is lost.",
        isConnected && run === "paused" ? `${state?.reason ?? "Paused"}.` : "",
        isConnected ? RUN_LABELS[run] : "",
        isFollowing ? "" : "Viewing an earlier event.",
        canControl || !isConnected ? "" : VIEW_ONLY,
        state?.error === undefined ? "" : `Error: ${state.error}`,
      ]
    : ["Saved trace."];
  return (
    <p class="status" role="status" data-run={isLive ? run : "saved"}>
      {sentences.filter((sentence) => sentence !== "").join(" ")}
    </p>
  );
}

function Warnings({ store: { warnings } }: { store: Store }): JSX.Element {
  return (
    <section class="warnings" aria-label="Warnings">
      <h2>Warnings ({warnings.length})</h2>
      {warnings.length === 0 ? <p class="aside">No warnings.</p> : null}
      <ul>
        {warnings
          .toReversed()
          .slice(0, MAX_WARNINGS)
          .map(({ seq, us, code, message }) => (
            <li key={seq}>
              ⚠ <b>{code}</b> {message} <small>at {formatDuration(us)}</small>
            </li>
          ))}
      </ul>
    </section>
  );
}
