// The README's pictures of the page, light and dark: docs/inspect-light.png and docs/inspect-dark.png.
//
//   bun docs/build/inspector-pictures.ts        needs chromium

import { join } from "node:path";
import { openBrowser } from "../../test/support/browser.ts";
import { inspected } from "../../test/support/inspected.ts";

await using it = await inspected({ keepAlive: false, eager: false });
await using opened = await openBrowser();

await it.order({ kind: "try", try: "request" });
await it.order({ kind: "try", try: "half-head" });
await it.order({ kind: "try", try: "silent" });
while ((it.inspector.sample?.entries.filter(({ kind }) => kind === "connection").length ?? 0) < 2) await Bun.sleep(10);
await it.order({ kind: "break", on: "event", value: "recv" });
await it.order({ kind: "try", try: "half-close" });
await it.until("stopped");

for (const colorScheme of ["light", "dark"] as const) {
  const context = await opened.browser.newContext({ viewport: { width: 1400, height: 940 }, colorScheme });
  const tab = await context.newPage();
  await tab.goto(it.page.controlUrl);
  await tab.waitForSelector(".source");
  await tab.click("tbody tr:last-child button");
  await tab.waitForSelector(".look dl");
  await tab.mouse.move(0, 0);
  await tab.screenshot({ path: join(import.meta.dir, "..", `inspect-${colorScheme}.png`) });
  await context.close();
}
