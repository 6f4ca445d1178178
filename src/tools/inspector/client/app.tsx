/** @jsxImportSource preact */
// The page: its head, and one of two rooms, the loop and the lessons.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Breakpoints, Controls } from "./controls.tsx";
import { EventDetail } from "./event-detail.tsx";
import { FdTable } from "./fd-table.tsx";
import { KernelLists } from "./kernel-lists.tsx";
import { Timeline } from "./timeline.tsx";
import { LessonBook } from "./lessons.tsx";
import { LoopDiagram } from "./loop-diagram.tsx";
import type { Store } from "./store.ts";
import { TestClientPanel } from "./test-clients.tsx";
import { duration } from "./format.ts";

export function App({ store }: { store: Store }): JSX.Element {
  const [room, enter] = useState<"loop" | "lessons">("loop");
  const { hello } = store;
  if (hello === undefined)
    return <p class="loading">{store.isConnected ? "The page is loading." : "There is no answer yet."}</p>;
  return (
    <>
      <header>
        <h1>
          epoll-hello <small>{hello.name}</small>
        </h1>
        <Status store={store} />
        <nav role="tablist" aria-label="Rooms">
          <button type="button" role="tab" aria-selected={room === "loop"} onClick={() => enter("loop")}>
            The loop
          </button>
          <button type="button" role="tab" aria-selected={room === "lessons"} onClick={() => enter("lessons")}>
            Lessons
          </button>
        </nav>
      </header>
      {store.trouble === undefined ? null : (
        <p class="trouble" role="alert">
          {store.trouble}{" "}
          <button type="button" onClick={() => store.set({ trouble: undefined })}>
            Close
          </button>
        </p>
      )}
      <main>{room === "loop" ? <Loop store={store} /> : <LessonBook store={store} />}</main>
    </>
  );
}

function Loop({ store }: { store: Store }): JSX.Element {
  const { view, isNumeric } = store;
  const isLiveServer = store.hello?.source === "live";
  return (
    <>
      <Controls store={store} />
      <div class={store.isBusy ? "loop is-busy" : "loop"} data-position={view.position}>
        <div class="side">
          <LoopDiagram store={store} view={view} />
          <KernelLists view={view} isNumeric={isNumeric} onFd={(fd) => void store.lookAt(fd)} />
          <Warnings store={store} />
        </div>
        <div class="middle">
          <Timeline
            tape={store.tape}
            position={view.position}
            isNumeric={isNumeric}
            onMove={(at) => store.moveTo(at)}
          />
          <FdTable store={store} view={view} />
          {isLiveServer ? <TestClientPanel store={store} /> : null}
        </div>
        <div class="side">
          <EventDetail store={store} view={view} />
          {isLiveServer ? <Breakpoints store={store} /> : null}
        </div>
      </div>
    </>
  );
}

function Status({ store }: { store: Store }): JSX.Element {
  const { hello, state, mayControl, isLive, isConnected } = store;
  const words: Record<string, string> = {
    running: "runs",
    pausing: "will stand still at its next event",
    stopped: "stands still",
    ended: "has ended",
  };
  const isSaved = hello?.source === "saved";
  return (
    <p class="status" role="status" data-run={isSaved ? "saved" : state?.run}>
      {isSaved ? "A trace that was saved." : `The loop ${words[state?.run ?? "running"]}.`}
      {!isSaved && !isConnected ? " The connection to it is lost." : ""}
      {!isSaved && !isLive ? " You look at its past." : ""}
      {!isSaved && state?.run === "stopped"
        ? " The kernel goes on: its queues fill, and clients that wait may give up."
        : ""}
      {isSaved || mayControl ? "" : " View only: the terminal shows the address that may control it."}
      {state?.error === undefined ? "" : ` It failed: ${state.error}`}
    </p>
  );
}

function Warnings({ store }: { store: Store }): JSX.Element {
  const { warnings } = store;
  return (
    <section class="warnings" aria-label="Warnings">
      <h2>Warnings ({warnings.length})</h2>
      {warnings.length === 0 ? (
        <p class="aside">None: no busy loop, nothing undrained, no leak, no slow handler.</p>
      ) : null}
      <ul>
        {warnings
          .toReversed()
          .slice(0, 20)
          .map(({ seq, us, code, message }) => (
            <li key={seq}>
              ⚠ <b>{code}</b> {message} <small>after {duration(us)}</small>
            </li>
          ))}
      </ul>
    </section>
  );
}
