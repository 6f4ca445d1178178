// Takes the README's screenshots of the inspector, docs/inspect-light.png and docs/inspect-dark.png.
//
//   bun docs/build/inspector-pictures.ts        requires Chromium

import { join } from "node:path";
import { openBrowser } from "../../test/support/browser.ts";
import { inspected } from "../../test/support/inspected.ts";
import { eventually } from "../../test/support/eventually.ts";

await using it = await inspected({ keepAlive: false, eager: false }, 1_000); // few idle iterations
await using opened = await openBrowser();

const context = await opened.browser.newContext({ viewport: { width: 1400, height: 940 } });
const tab = await context.newPage();
await tab.goto(it.page.controlUrl); // before the breakpoint: source positions are recorded only while a page is open
await tab.waitForSelector(".timeline");

// A request that is finished, two clients that stay connected, and a breakpoint at the recv of a third.
await it.send({ kind: "start-client", client: "request" });
await it.send({ kind: "start-client", client: "partial-head" });
await it.send({ kind: "start-client", client: "silent" });
await eventually(
  () => it.view.latestSample?.entries.filter(({ kind }) => kind === "connection").length ?? 0,
  (connections) => connections >= 2,
);
await it.send({ kind: "add-breakpoint", on: "event", value: "recv" });
await it.send({ kind: "start-client", client: "half-close" });
await it.waitFor("paused");

await tab.waitForSelector(".source");
await tab.click("tbody tr:last-child button");
await tab.waitForSelector(".fd-details dl");
await tab.mouse.move(0, 0);
for (const colorScheme of ["light", "dark"] as const) {
  await tab.emulateMedia({ colorScheme });
  await tab.screenshot({ path: join(import.meta.dir, "..", `inspect-${colorScheme}.png`) });
}
await context.close();
