// Many tabs of one browser, pages that the server rejects, and pages that are closed, reloaded or left behind by a restart.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { BrowserContext, Page as Tab } from "playwright-core";
import { InspectorServer } from "../../src/tools/inspector/inspector-server.ts";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { getWithToken, type Inspected, inspected } from "../support/inspected.ts";
import { cli } from "../support/programs.ts";

setDefaultTimeout(60_000);

/** Browsers open at most 6 connections to a server. */
const TABS = 7;

let opened: Awaited<ReturnType<typeof openBrowser>>;

const waitForRun = (tab: Tab, run: string): Promise<unknown> => tab.waitForSelector(`.status[data-run=${run}]`);

describe.skipIf(!hasBrowser)("in Chromium", () => {
  let context: BrowserContext;
  let it: Inspected | undefined;

  beforeAll(async () => {
    opened = await openBrowser();
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    await context.close();
    await it?.[Symbol.asyncDispose]();
    it = undefined;
  });

  async function openTab(url: string): Promise<Tab> {
    const tab = await context.newPage();
    tab.setDefaultNavigationTimeout(50_000);
    tab.setDefaultTimeout(50_000);
    await tab.goto(url);
    return tab;
  }

  test(`${TABS} tabs load, all receive events, and a command of the last one works`, async () => {
    it = await inspected();
    context = await opened.browser.newContext();
    const tabs: Tab[] = [];
    for (let i = 0; i < TABS; i++) {
      const tab = await openTab(it.page.controlUrl);
      await tab.waitForSelector("h1");
      tabs.push(tab);
    }
    await (await fetch(it.url)).text();
    const last = tabs.at(-1) as Tab;
    await last.waitForSelector(".mark.accept");
    await last.keyboard.press("Space");
    await it.waitFor("paused");
    for (const tab of tabs) {
      await tab.bringToFront();
      await waitForRun(tab, "paused");
    }
    await last.bringToFront();
    await last.keyboard.press("Space");
    await it.waitFor("running");
  }, 240_000); // many tabs are slow on a busy machine

  test("a page without a token says what to open", async () => {
    it = await inspected();
    context = await opened.browser.newContext();
    const tab = await openTab(it.page.url);
    await tab.waitForSelector("text=the URL with a token that the terminal shows");
  });

  test("a page beyond the limit shows why, and is served when there is room", async () => {
    it = await inspected();
    const { viewUrl } = it.page;
    const streams: AbortController[] = [];
    const responses: Response[] = [];
    for (let i = 0; i < 16; i++) {
      const abort = new AbortController();
      streams.push(abort);
      responses.push(await getWithToken(viewUrl, "events", { signal: abort.signal }));
    }
    context = await opened.browser.newContext();
    const tab = await openTab(it.page.controlUrl);
    await tab.waitForSelector("text=16 pages are open, which is the limit: close one first.");
    for (const abort of streams) abort.abort();
    await tab.waitForSelector("h1");
    expect(responses).toHaveLength(16);
  });

  test("after a restart on the same port, the page is read-only at once, and says to open the new URL", async () => {
    it = await inspected();
    context = await opened.browser.newContext();
    const tab = await openTab(it.page.controlUrl);
    await tab.waitForSelector(".controls .primary:enabled");
    const port = Number(new URL(it.page.url).port);
    await it.page[Symbol.asyncDispose]();
    await tab.waitForSelector(".controls .primary:disabled");
    await using restarted = await InspectorServer.open({
      port,
      source: { view: it.view },
      command: [process.execPath, cli],
    });
    await tab.waitForSelector(".status >> text=If the server was restarted, open its new URL.");
    expect(await tab.locator(".controls .primary:enabled, .kinds button:enabled").count()).toBe(0);
    await tab.goto(restarted.controlUrl); // differs only in its fragment
    await tab.waitForSelector(".controls .primary:enabled");
    await tab.close();
  });

  test("a server that does not take a command is reported", async () => {
    it = await inspected();
    context = await opened.browser.newContext();
    const tab = await openTab(it.page.controlUrl);
    await tab.waitForSelector(".controls .primary:enabled");
    await tab.route("**/commands", () => {}); // never answered
    await tab.click(".controls .primary");
    await tab.waitForSelector("role=alert >> text=The server did not respond to the command within 5 s.");
  });

  test("a reload keeps the pause; closing the last tab resumes the server", async () => {
    const notices: string[] = [];
    it = await inspected({}, 50, { releaseGraceMs: 2_000, onRelease: (message) => notices.push(message) });
    context = await opened.browser.newContext();
    const tab = await openTab(it.page.controlUrl);
    await tab.waitForSelector(".controls .primary:enabled");
    await tab.keyboard.press("Space");
    await waitForRun(tab, "paused");
    await tab.reload();
    await waitForRun(tab, "paused");
    expect(notices).toEqual([]);
    await tab.close();
    expect((await fetch(it.url)).status).toBe(200);
    await eventually(
      () => notices,
      (all) => all.length === 1,
    );
  });
});
