// What happens to a paused or slowed server when its page is closed, reloaded or lost.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { LoopState } from "../../src/tools/inspector/messages.ts";
import { eventually } from "../support/eventually.ts";
import { type Inspected, inspected, messages } from "../support/inspected.ts";

setDefaultTimeout(60_000);

/** A page that is open until it is closed. */
async function openPage(url: string): Promise<{ close(): void }> {
  const abort = new AbortController();
  const stream = messages(url, abort.signal);
  await stream.next();
  return {
    close() {
      abort.abort();
      stream.next().catch(() => {}); // keeps the stream alive until now
    },
  };
}

interface Released extends Inspected {
  /** The sentences that the terminal shows. */
  notices: string[];
}

async function withGrace(releaseGraceMs: number, hasPrompt = false): Promise<Released> {
  const notices: string[] = [];
  const options = { releaseGraceMs, hasPrompt, onRelease: (message: string) => void notices.push(message) };
  return { ...(await inspected({}, 50, options)), notices };
}

test("a paused server resumes when its last controlling page is closed, and says so", async () => {
  await using it = await withGrace(20);
  const page = await openPage(it.page.controlUrl);
  const viewer = await openPage(it.page.viewUrl); // cannot resume it
  await it.send({ kind: "pause" });
  await it.waitFor("paused");
  page.close();
  expect((await fetch(it.url)).status).toBe(200);
  expect(it.notices).toEqual([
    "the inspector's page was closed while the server was paused: the server continues at full speed",
  ]);
  viewer.close();
});

test("breakpoints and slow motion are removed, too", async () => {
  await using it = await withGrace(20);
  const page = await openPage(it.page.controlUrl);
  await it.send({ kind: "add-breakpoint", on: "event", value: "accept" });
  await it.send({ kind: "set-speed", perSecond: 1 });
  page.close();
  await eventually(
    () => it.view.state,
    ({ breakpoints, speed, run }) => breakpoints.length === 0 && speed === 0 && run === "running",
  );
  expect((await fetch(it.url)).status).toBe(200);
  expect(it.notices).toHaveLength(1);
  expect(it.notices[0]).toMatch(/in slow motion and with 1 breakpoint: the server continues at full speed$/);
});

test("a breakpoint that is hit after the page was closed does not stop the server", async () => {
  await using it = await withGrace(20);
  const page = await openPage(it.page.controlUrl);
  await it.send({ kind: "add-breakpoint", on: "event", value: "accept" });
  page.close();
  expect((await fetch(it.url)).status).toBe(200);
});

test("a reload keeps the pause, and another page can continue it", async () => {
  await using it = await withGrace(60_000);
  const page = await openPage(it.page.controlUrl);
  await it.send({ kind: "pause" });
  await it.waitFor("paused");
  page.close();
  const reloaded = await openPage(it.page.controlUrl);
  expect(it.view.state.run).toBe("paused");
  expect(it.notices).toEqual([]);
  await it.send({ kind: "resume", mode: { kind: "continue" } });
  expect((await fetch(it.url)).status).toBe(200);
  reloaded.close();
});

test("a command without a page, whose connection may be lost, is undone, too", async () => {
  await using it = await withGrace(20);
  await it.send({ kind: "pause" });
  expect((await fetch(it.url)).status).toBe(200);
  await eventually(
    () => it.notices.length,
    (count) => count === 1,
  );
});

test("with a prompt, a pause does not depend on the page, but its breakpoints are removed", async () => {
  await using it = await withGrace(20, true);
  const page = await openPage(it.page.controlUrl);
  await it.send({ kind: "add-breakpoint", on: "event", value: "accept" });
  await it.send({ kind: "pause" });
  await it.waitFor("paused");
  page.close();
  await eventually(
    () => it.view.state.breakpoints,
    (breakpoints) => breakpoints.length === 0,
  );
  expect(it.view.state.run).toBe("paused");
  expect(it.notices).toEqual([expect.stringContaining("its breakpoints and slow motion are removed")]);
  await it.send({ kind: "resume", mode: { kind: "continue" } });
});

test("says where it waits if it is paused in epoll_wait, and not after an event", async () => {
  await using it = await inspected({}, -1);
  await it.send({ kind: "pause" });
  await it.waitFor("paused");
  expect(it.view.state.waitsIn).toBeGreaterThan(2);
  await it.send({ kind: "resume", mode: { kind: "next" } });
  const response = fetch(it.url);
  await eventually(
    () => it.view.state,
    ({ reason }) => reason === "Paused after a step",
  );
  expect(it.view.state.waitsIn).toBeUndefined();
  await it.send({ kind: "resume", mode: { kind: "continue" } });
  expect((await response).status).toBe(200);
});

test("says why it is paused, and lists the breakpoints of the prompt", async () => {
  await using it = await inspected();
  const waitForReason = (reason: string): Promise<LoopState> =>
    eventually(
      () => it.view.state,
      (state) => state.reason === reason,
    );
  await it.send({ kind: "pause" });
  await waitForReason("Paused by the page");
  await it.send({ kind: "resume", mode: { kind: "next" } });
  await waitForReason("Paused after a step");
  await it.send({ kind: "add-breakpoint", on: "event", value: "accept" });
  await it.send({ kind: "resume", mode: { kind: "continue" } });
  const response = fetch(it.url);
  await waitForReason("Paused on page breakpoint 1: accept");
  const ofPrompt = { id: 1, on: "errno", value: 11, isTemporary: false, isEnabled: true } as const;
  it.view.target.setBreakpoints([{ ...ofPrompt, ignore: 0, hits: 0, condition: "iteration > 0" }]);
  expect(it.view.state.breakpoints).toMatchObject([
    { owner: "page", on: "event" },
    { owner: "prompt", id: 1, on: "errno", condition: "iteration > 0" },
  ]);
  await it.send({ kind: "remove-breakpoint", id: it.view.state.breakpoints[0]?.id });
  await it.send({ kind: "resume", mode: { kind: "continue" } });
  await waitForReason("Paused on breakpoint 1: EAGAIN if iteration > 0");
  it.view.target.setBreakpoints([]);
  await it.send({ kind: "resume", mode: { kind: "continue" } });
  expect((await response).status).toBe(200);
  expect(it.view.state.reason).toBeUndefined();
});
