/** @jsxImportSource preact */
// The page: a header with the state of the loop, and one of two views, the event loop or the lessons.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { LoopState } from "../messages.ts";
import { Breakpoints } from "./breakpoints.tsx";
import { ConnectionPanel } from "./connection-panel.tsx";
import { Controls } from "./controls.tsx";
import { EventDetail } from "./event-detail.tsx";
import { EventsSection } from "./events-section.tsx";
import { FdTable } from "./fd-table.tsx";
import { KernelLists } from "./kernel-lists.tsx";
import { LessonPanel } from "./lessons.tsx";
import { LoopDiagram } from "./loop-diagram.tsx";
import { ShortcutHelp } from "./shortcut-help.tsx";
import { openShortcutHelp } from "./shortcuts.ts";
import type { Store } from "./store.ts";
import { TabList, TabPanel } from "./tabs.tsx";
import { TestClientPanel } from "./test-clients.tsx";
import { Timeline } from "./timeline.tsx";
import { Timings } from "./timings.tsx";
import { WarningsList } from "./warnings-list.tsx";

const VIEW_ONLY = "View only. To control the server, open the second URL that the terminal shows.";

const RUN_LABELS: Record<LoopState["run"], string> = {
  running: "Running.",
  pausing: "Pausing at the next event.",
  paused: "The kernel keeps running: its queues fill up, and clients may time out.",
  ended: "The server has stopped.",
};

const VIEWS = [
  { name: "loop", label: "Event loop" },
  { name: "lessons", label: "Lessons" },
] as const;

type ViewName = (typeof VIEWS)[number]["name"];

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
      <a class="skip-link" href="#main" onClick={focusMain}>
        Skip to the content
      </a>
      <header>
        <h1>
          epoll-hello <small>{hello.name}</small>
        </h1>
        <Status store={store} />
        <TabList label="Views" tabs={VIEWS} selected={view} onSelect={setView} />
        <button type="button" class="shortcut-button" aria-haspopup="dialog" onClick={openShortcutHelp}>
          Shortcuts
        </button>
      </header>
      {error === undefined ? null : (
        <p class="error" role="alert">
          {error}{" "}
          <button type="button" onClick={() => store.set({ error: undefined })}>
            Dismiss
          </button>
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <TabPanel name={view}>{view === "loop" ? <LoopView store={store} /> : <LessonPanel store={store} />}</TabPanel>
      </main>
      <ShortcutHelp />
    </>
  );
}

/** A link would change the address, which may name an event. */
function focusMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function LoopView({ store }: { store: Store }): JSX.Element {
  const { view, isNumeric, isLive, browser } = store;
  browser.update(store.history, view.position, store.isFollowing);
  return (
    <>
      <Controls store={store} />
      <div class={store.isBusy ? "loop is-busy" : "loop"} data-position={view.position}>
        <Timeline
          browser={browser}
          position={view.position}
          isNumeric={isNumeric}
          onSelect={(position) => store.moveTo(position)}
        />
        <div class="inspect">
          <WarningsList store={store} />
          <EventsSection store={store} />
          <EventDetail store={store} />
        </div>
        <div class="overview-row">
          <LoopDiagram store={store} view={view} />
          <KernelLists
            view={view}
            kernel={store.isFollowing && !store.hasEnded ? store.kernel : undefined}
            kernelAgeMs={performance.now() - store.kernelMs}
            isNumeric={isNumeric}
            onSelectFd={(key) => void store.selectFd(key)}
          />
          <Timings store={store} />
        </div>
        <div class="middle">
          <ConnectionPanel store={store} />
          <FdTable store={store} view={view} />
          <Breakpoints store={store} />
          {isLive ? <TestClientPanel store={store} /> : null}
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
