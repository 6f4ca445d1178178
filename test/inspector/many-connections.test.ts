// The page with thousands of connections: totals, the stuck one in two clicks, rows that load as they become visible.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { InternetAddress } from "../../src/index.ts";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { inspected } from "../support/inspected.ts";
import { endPrograms, start } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);
/** Chromium is slow on a busy machine. */
const TIMEOUT_MS = 240_000;

const COUNT = scaled(2_000, 9_900);

async function findStuck(): Promise<void> {
  await using opened = await openBrowser();
  await using it = await inspected({ headerTimeoutMs: Infinity }); // the clients send nothing
  try {
    const { port } = it.view.target.location.addresses[0] as InternetAddress;
    const script = new URL("../support/many-clients.ts", import.meta.url).pathname;
    const clients = start(["bun", script, String(port), String(COUNT), String(Math.floor(COUNT * 0.7))]);
    const [, stuck = ""] = await clients.output(/^connected from (\d+)$/m);
    const tab = await opened.browser.newPage({ viewport: { width: 1440, height: 1000 } });
    tab.setDefaultTimeout(50_000);
    const problems: string[] = [];
    tab.on("pageerror", ({ message }) => problems.push(message));
    await tab.goto(it.page.controlUrl);
    const total = (COUNT + 2).toLocaleString("en"); // with the listener and the epoll instance
    await tab.waitForSelector(`.fd-table h2 >> text=File descriptors (${total})`);
    const interest = (COUNT + 1).toLocaleString("en");
    await tab.waitForSelector(`.kernel-lists >> text=Interest list (${interest})`);

    // Two clicks: sort by bytes received, and open the first row.
    await tab.click("[data-column=received]");
    const first = ".fd-table tbody tr:not(.spacer) >> nth=0";
    await tab.waitForSelector(`${first} >> text=127.0.0.1:${stuck}`);
    await tab.click(`${first} >> button`);
    await tab.waitForSelector(`.fd-details >> text=127.0.0.1:${stuck}`);

    // Or one: the filter.
    await tab.click("text=Stuck");
    await tab.waitForSelector(`.fd-filter output >> text=1 of ${total}`);
    expect(await tab.locator(".fd-table tbody tr:not(.spacer)").count()).toBe(1);
    await tab.click("text=Stuck");

    // The last rows are loaded when they become visible, and only some rows are in the page.
    await tab.click("[data-column=fd]");
    await tab.waitForSelector(`.fd-filter output >> text=/^$/`, { state: "attached" });
    await tab.locator(".fd-table .scroll").evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
    await tab.waitForSelector(`.fd-table tr[aria-rowindex="${COUNT + 3}"]`);
    expect(await tab.locator(".fd-table tbody tr").count()).toBeLessThan(250);
    expect(problems).toEqual([]);
    await tab.close();
  } finally {
    await endPrograms();
  }
}

test.skipIf(!hasBrowser)(`finds the stuck one of ${COUNT} connections in two clicks`, findStuck, TIMEOUT_MS);
