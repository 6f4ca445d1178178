// Takes the README's screenshots of the inspector, docs/inspect-light.png and docs/inspect-dark.png.
//
//   bun docs/build/inspector-pictures.ts        requires Chromium

import { join } from "node:path";
import { openBrowser } from "../../test/support/browser.ts";
import { inspected } from "../../test/support/inspected.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { TestClientKind } from "../../src/tools/inspector/messages.ts";

/** Long waits, for few idle iterations. */
const POLL_MS = 1_000;
const WARM_UP_REQUESTS = 250;

await using it = await inspected({ keepAlive: false, eager: false }, POLL_MS);
await using opened = await openBrowser();

// The first iterations of a process are slow, and would dominate the overhead that the page shows.
for (let i = 0; i < WARM_UP_REQUESTS; i++) await (await fetch(it.url)).text();

const context = await opened.browser.newContext({ viewport: { width: 1400, height: 1100 } });
const tab = await context.newPage();
await tab.goto(it.page.controlUrl); // before the breakpoint: source positions are recorded only while a page is open
await tab.waitForSelector(".timeline");

// One finished request, two clients that stay connected, and a breakpoint at the recv of another client.
const kinds: TestClientKind[] = ["request", "partial-head", "silent"];
for (const [i, client] of kinds.entries()) {
  await untilIdle(WARM_UP_REQUESTS + i);
  await it.send({ kind: "start-client", client });
}
await untilIdle(WARM_UP_REQUESTS + kinds.length);
await it.send({ kind: "add-breakpoint", on: "event", value: "recv" });
await it.send({ kind: "start-client", client: "half-close" });
await it.waitFor("paused");

await tab.waitForSelector(".source");
await tab.click(".fd-table tbody tr:nth-child(5) button"); // after the listener, the epoll fd and the two clients
await tab.waitForSelector(".fd-details dl");
await tab.evaluate("scrollTo(0, 0)");
await tab.mouse.move(0, 0);
for (const colorScheme of ["light", "dark"] as const) {
  await tab.emulateMedia({ colorScheme });
  await tab.screenshot({ path: join(import.meta.dir, "..", `inspect-${colorScheme}.png`) });
}
await context.close();

/** Waits until this many connections have been accepted, and the loop has nothing left to do. */
async function untilIdle(accepted: number): Promise<void> {
  await eventually(
    () => it.view.latestSample,
    (sample) => {
      const wait = sample?.events.findLast((event) => event.type === "wait");
      return sample?.counts.accepted === accepted && wait?.timeoutMs === POLL_MS && wait.result === 0;
    },
  );
}
