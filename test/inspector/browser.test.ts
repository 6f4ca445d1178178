// The page in a real browser: every control, client and lesson, saved traces, both themes, narrow windows, the keyboard.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page as Tab } from "playwright-core";
import { EpollServer, type InternetAddress, type TraceEvent } from "../../src/index.ts";
import { LESSONS, runLesson } from "../../src/tools/lessons/all-lessons.ts";
import { InspectorServer } from "../../src/tools/inspector/inspector-server.ts";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { Client } from "../support/client.ts";
import { type Inspected, inspected } from "../support/inspected.ts";
import { cli } from "../support/programs.ts";
import { isFullRun, scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

/** A test for full runs only: Chromium takes a large part of the CPU time of a quick run. */
const fullTest = test.skipIf(!isFullRun);

/** A folder for screenshots: SCREENSHOTS=folder bun test test/inspector */
const screenshots = process.env["SCREENSHOTS"];
if (screenshots !== undefined) mkdirSync(screenshots, { recursive: true });

let opened: Awaited<ReturnType<typeof openBrowser>>;
/** Errors on the console, exceptions, and requests to other hosts. There must be none. */
const problems: string[] = [];

async function visit(url: string): Promise<Tab> {
  const context = await opened.browser.newContext({ viewport: { width: 1440, height: 1000 }, colorScheme: "light" });
  const tab = await context.newPage();
  tab.setDefaultTimeout(20_000);
  tab.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  tab.on("pageerror", ({ message }) => problems.push(message));
  tab.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("http://127.0.0.1:") && !url.startsWith("data:")) problems.push(url);
  });
  await tab.goto(url);
  await tab.waitForSelector("h1");
  return tab;
}

async function screenshot(tab: Tab, name: string): Promise<void> {
  if (screenshots !== undefined) await tab.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

const runState = (tab: Tab): Promise<string | null> => tab.getAttribute(".status", "data-run");
const waitForRun = (tab: Tab, run: string): Promise<unknown> => tab.waitForSelector(`.status[data-run=${run}]`);
const selectedLine = (tab: Tab): Promise<string> => tab.innerText(".events .is-selected");

/** Waits until the text of an element matches, or, with `isNegated`, does not. */
const waitForText = (tab: Tab, selector: string, pattern: RegExp, isNegated = false): Promise<unknown> =>
  tab.waitForFunction(
    ([selector, source, isNegated]) =>
      new RegExp(source).test(document.querySelector(selector)?.textContent ?? "") !== isNegated,
    [selector, pattern.source, isNegated] as const,
  );

describe.skipIf(!hasBrowser)("in Chromium", () => {
  beforeAll(async () => {
    opened = await openBrowser();
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });
  afterEach(() => {
    expect(problems.splice(0)).toEqual([]);
  });

  describe("the event loop", () => {
    let open: Inspected | undefined;
    const tabs: Tab[] = [];

    async function openTab(url: string): Promise<Tab> {
      const tab = await visit(url);
      tabs.push(tab);
      return tab;
    }

    async function inspect(): Promise<{ it: Inspected; tab: Tab }> {
      open = await inspected({ keepAlive: false, eager: false }, 200); // fewer idle iterations to render
      return { it: open, tab: await openTab(open.page.controlUrl) };
    }

    afterEach(async () => {
      for (const tab of tabs.splice(0)) await tab.context().close();
      await open?.[Symbol.asyncDispose]();
      open = undefined;
    });

    test("shows the lists, the table and the timeline, and removes the token from the URL", async () => {
      const { it, tab } = await inspect();
      expect(await tab.innerText("h1")).toContain(it.url);
      expect(tab.url()).toBe(it.page.url);
      await fetch(it.url);
      await tab.waitForSelector(".mark.close");
      for (const kind of ["accept", "recv", "send", "shutdown"]) {
        expect(await tab.locator(`.mark.${kind}`).count()).toBe(1);
      }
      await tab.waitForSelector(".fd-table tbody tr >> text=/listening on 127\\.0\\.0\\.1/");
      expect(await tab.locator("thead th").allInnerTexts()).toEqual(
        expect.arrayContaining(["Registered", "Kernel mask", "Recv-Q", "Send-Q"]),
      );
      await waitForText(tab, ".kernel-lists", /Interest list \(1\)/);
      expect(await tab.locator(".error").count()).toBe(0);
    });

    test("keys: space pauses and continues, s steps, n waits, r steps out, the arrows move through the history", async () => {
      const { it, tab } = await inspect();
      await tab.keyboard.press("Space");
      await waitForRun(tab, "paused");
      expect(await tab.innerText(".status")).toStartWith("Paused by the page.");
      const response = fetch(it.url);
      while (!/\[\(\d+, EPOLLIN\)\]/.test(await selectedLine(tab))) {
        const before = await tab.innerText(".slider .at");
        await tab.keyboard.press("n");
        await tab.waitForFunction((text) => document.querySelector(".slider .at")?.textContent !== text, before);
      }
      await waitForRun(tab, "paused"); // events arrive before the state
      await tab.keyboard.press("s");
      await waitForText(tab, ".events .is-selected", /accept4/);
      expect(await tab.innerText(".source figcaption")).toMatch(/^src\/server\/[\w-]+\.ts:\d+$/);
      expect(await tab.innerText(".source .is-current")).toContain("->");
      await tab.waitForSelector(".chip.is-ready");

      await tab.keyboard.press("ArrowLeft");
      await waitForText(tab, ".events .is-selected", /epoll_wait/);
      expect(await tab.innerText(".status")).toContain("Viewing an earlier event.");
      await tab.keyboard.press("End");
      await waitForText(tab, ".status", /earlier/, true);
      await tab.keyboard.press("r");
      await waitForText(tab, ".events .is-selected", /accept4/, true);
      await tab.keyboard.press("Space");
      expect(await (await response).text()).toBe("Hello from Epoll server!");
      await waitForRun(tab, "running");
    });

    test("buttons: a breakpoint, the comparison with the kernel, the details of an fd, Continue", async () => {
      const { it, tab } = await inspect();
      await tab.selectOption(".breakpoints select[aria-label=Value]", "recv");
      await tab.click(".breakpoints button[type=submit]");
      await tab.waitForSelector(".breakpoints li");
      const response = fetch(it.url);
      await waitForRun(tab, "paused");
      await tab.waitForSelector(".breakpoints li.is-hit");
      expect(await selectedLine(tab)).toMatch(/recv\(\d+\) = /);
      await tab.click("text=Compare with the kernel");
      await tab.waitForSelector("text=No differences: all 2 registered masks match");
      await tab.click(".fd-table tbody tr:has-text('connection') button");
      await tab.waitForSelector(".fd-details dl");
      expect(await tab.innerText(".fd-details")).toMatch(/127\.0\.0\.1:\d+[^]*ESTABLISHED/);
      await screenshot(tab, "paused-light");
      await tab.click("text=Remove");
      await tab.waitForSelector(".breakpoints li", { state: "detached" });
      await tab.click("text=Continue");
      expect((await response).status).toBe(200);
      await waitForRun(tab, "running");
    });

    fullTest("slow motion, and masks as numbers", async () => {
      const { it, tab } = await inspect();
      await tab.selectOption("select[aria-label=Speed]", "10");
      expect((await fetch(it.url)).status).toBe(200);
      await tab.check(".check input");
      await waitForText(tab, ".events", /epoll_wait\(\d+, \d+\) = \[(?:\(\d+, \d+\))?\]/);
      await tab.selectOption("select[aria-label=Speed]", "0");
      await waitForRun(tab, "running");
    });

    fullTest("without the token, the page is view-only; each page has its own position in the history", async () => {
      const { it, tab } = await inspect();
      await fetch(it.url);
      const viewer = await openTab(it.page.viewUrl);
      await viewer.waitForSelector(".mark.close");
      expect(await viewer.innerText(".status")).toContain("View only");
      const enabled = await viewer.locator(".kinds button:enabled, .controls .primary:enabled").count();
      expect(enabled).toBe(0);
      await viewer.keyboard.press("Space");
      await viewer.keyboard.press("Home");
      await waitForText(viewer, ".status", /earlier/);
      expect(await runState(tab)).toBe("running");
      expect(await tab.innerText(".status")).not.toContain("earlier");
      await viewer.click("role=tab[name=Lessons]");
      expect(await viewer.locator(".lessons nav button").first().isDisabled()).toBe(true);
    });

    fullTest("the slider moves through the history, and the lists follow", async () => {
      const { it, tab } = await inspect();
      await fetch(it.url);
      await tab.waitForSelector(".mark.close");
      const max = Number(await tab.getAttribute(".slider input", "max"));
      const lists: string[] = [];
      const isComplete = (): boolean =>
        lists.some((text) => /Interest list \(0\)/.test(text)) &&
        lists.some((text) => /Interest list \(2\).*last epoll_wait \(1\)/.test(text));
      for (let position = 0; position <= max && !isComplete(); position += 2) {
        await tab.evaluate((value) => {
          const input = document.querySelector<HTMLInputElement>(".slider input");
          if (input === null) throw new Error("there is no slider");
          input.value = String(value);
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }, position);
        await tab.waitForSelector(`.loop[data-position="${position}"]`);
        lists.push((await tab.innerText(".kernel-lists")).replace(/\s+/g, " "));
      }
      expect(isComplete()).toBe(true);
    });

    test("a test client connects, appears in the table, and is closed", async () => {
      const { tab } = await inspect();
      await tab.click("[data-client=partial-head]");
      await tab.waitForSelector("[data-kind=partial-head].is-open");
      await waitForText(tab, ".fd-table tbody", /head/);
      await tab.click("[data-kind=partial-head] button");
      await tab.waitForSelector("[data-kind=partial-head].is-open", { state: "detached" });
      await tab.click("[data-client=never-reads]");
      await tab.waitForSelector("[data-kind=never-reads] >> text=/reads nothing/");
      await screenshot(tab, "test-clients-light");
    });

    fullTest("shows that the server has stopped", async () => {
      const { it, tab } = await inspect();
      await it.view.target.end();
      await waitForRun(tab, "ended");
      expect(await tab.innerText(".status")).toContain("The server has stopped.");
    });

    fullTest("a saved trace can be stepped through, and has no controls for a server", async () => {
      const events: TraceEvent[] = [];
      const server = new EpollServer({
        hostname: "127.0.0.1",
        keepAlive: false,
        eager: false,
        trace: (event) => void events.push(event),
      });
      {
        using client = new Client(server.address as InternetAddress, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        while (server.stats.requests === 0 || server.stats.open > 0) server.tick(100);
        client.socket.recv(1_000);
      }
      await server.stop({ graceMs: 0 });
      await using page = await openTrace("walk.jsonl", events);
      const tab = await openTab(page.controlUrl);
      await tab.waitForSelector(".mark.wait");
      expect(await tab.innerText(".status")).toContain("Saved trace.");
      const lists: string[] = [];
      for (let i = 0; i < 4; i++) {
        const line = await selectedLine(tab);
        lists.push((/= (\[.*\])/.exec(line)?.[1] ?? "").replace(/\d+/, "fd"));
        await tab.keyboard.press("n");
        if (i < 3) {
          await tab.waitForFunction(
            (text) => (document.querySelector(".events .is-selected") as HTMLElement).innerText !== text,
            line,
          );
        }
      }
      expect(lists).toEqual(["[(fd, EPOLLIN)]", "[(fd, EPOLLIN)]", "[(fd, EPOLLOUT)]", "[(fd, EPOLLHUP)]"]);
      expect(await tab.locator(".test-clients").count()).toBe(0);
      await tab.keyboard.press("Home");
      await tab.selectOption(".breakpoints select[aria-label=Value]", "send");
      await tab.click(".breakpoints button[type=submit]");
      await tab.keyboard.press("c");
      await waitForText(tab, ".events .is-selected", /send\(\d+\) = /);
      await tab.fill(".fd-filter input", "type:connection");
      await waitForText(tab, ".fd-filter output", /1 of 3/);
      await tab.click(".fd-table tbody tr >> nth=0 >> button");
      await tab.click("text=Follow this connection");
      await tab.waitForSelector(".connection tbody tr >> text=accept4");
      await screenshot(tab, "saved-light");
    });

    test("a malformed saved trace: the page says which line is wrong, and why", async () => {
      const begin = {
        seq: 1,
        us: 1,
        iteration: 0,
        type: "begin",
        version: 2,
        pid: 1,
        date: "2026-11-28T00:00:00.000Z",
      };
      const wait = { seq: 2, us: 2, iteration: 1, type: "wait", epfd: 3 }; // lacks the events
      await using page = await openTrace("bad.jsonl", [begin, wait] as unknown as TraceEvent[]);
      const tab = await openTab(page.controlUrl);
      await tab.waitForSelector("role=alert >> text=/^Cannot show the trace: bad\\.jsonl, line 2: .*/");
      expect(await tab.innerText(".status")).toContain("Saved trace.");
    });

    fullTest("warnings appear in their list, in the timeline, and at their fd", async () => {
      const report = await runLesson("forgotten-epollout");
      await using page = await openTrace("busy.jsonl", report?.events ?? []);
      const tab = await openTab(page.controlUrl);
      await tab.emulateMedia({ colorScheme: "dark" });
      await tab.waitForSelector(".warnings li");
      expect(await tab.innerText(".warnings")).toContain("idle-epollout");
      await tab.keyboard.press("End");
      await tab.waitForSelector("tbody tr >> text=⚠ idle-epollout");
      while ((await tab.locator(".mark.warning").count()) === 0) {
        const before = await tab.getAttribute(".loop", "data-position");
        await tab.keyboard.press("ArrowLeft");
        await tab.waitForSelector(`.loop:not([data-position="${before}"])`);
      }
      await screenshot(tab, "warnings-dark");
    });
  });

  describe("one page for all", () => {
    let it: Inspected;
    let tab: Tab;

    beforeAll(async () => {
      it = await inspected({ keepAlive: false, eager: false }, 1_000); // idle: no test pauses it
      tab = await visit(it.page.controlUrl);
    });
    afterEach(async () => {
      await tab.setViewportSize({ width: 1440, height: 1000 });
      await tab.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
    });
    afterAll(async () => {
      await tab.context().close();
      await it[Symbol.asyncDispose]();
    });

    test("every control can be reached with the keyboard, and has a name", async () => {
      const names: string[] = [];
      for (let i = 0; i < 60; i++) {
        await tab.keyboard.press("Tab");
        names.push(
          await tab.evaluate(() => {
            const focused = document.activeElement as HTMLElement;
            const label = focused.getAttribute("aria-label") ?? focused.closest("label")?.textContent;
            return label ?? focused.textContent ?? "";
          }),
        );
      }
      expect(names.filter((name) => name.trim() === "")).toEqual([]);
      for (const expected of [
        "Skip to the content",
        "Event loop",
        "Pause",
        "Speed",
        "Masks as numbers",
        "Send a request",
      ]) {
        expect(names).toContainEqual(expect.stringContaining(expected));
      }
    });

    test("text has sufficient contrast in both themes, and the themes differ", async () => {
      const backgrounds: string[] = [];
      for (const colorScheme of ["light", "dark"] as const) {
        await tab.emulateMedia({ colorScheme });
        const { background, pairs } = await tab.evaluate(() => {
          const style = getComputedStyle(document.documentElement);
          const valueOf = (name: string): string => style.getPropertyValue(name).trim();
          const pairs = [
            ["--ink", "--paper"],
            ["--ink", "--card"],
            ["--quiet", "--card"],
            ["--quiet", "--paper"],
            ["--ready", "--ready-soft"],
            ["--good", "--good-soft"],
            ["--bad", "--bad-soft"],
            ["--bad", "--card"],
            ["--ink", "--ready-soft"],
            ["--card", "--accent"],
          ].map(([a = "", b = ""]) => [a, b, valueOf(a), valueOf(b)] as const);
          return { background: getComputedStyle(document.body).backgroundColor, pairs };
        });
        backgrounds.push(background);
        expect(pairs.filter(([, , a, b]) => contrast(a, b) < 4.5)).toEqual([]); // WCAG 2.2, 1.4.3
      }
      expect(backgrounds[0]).not.toBe(backgrounds[1]);
    });

    test("nothing moves if the user prefers reduced motion", async () => {
      await tab.emulateMedia({ reducedMotion: "reduce" });
      await tab.waitForSelector(".chip");
      const duration = await tab.evaluate(
        () => getComputedStyle(document.querySelector(".chip") as Element).transitionDuration,
      );
      expect(duration).toBe("0s");
    });

    test.each(["light", "dark"] as const)("fits the width of a phone, %s", async (colorScheme) => {
      await tab.setViewportSize({ width: 390, height: 844 });
      await tab.emulateMedia({ colorScheme });
      const overflow = (): Promise<number> => tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await tab.click("role=tab[name='Event loop']");
      await fetch(it.url);
      await tab.click("[data-client=silent]");
      await tab.waitForSelector(".mark.close");
      expect(await overflow()).toBeLessThanOrEqual(0);
      await screenshot(tab, `phone-${colorScheme}`);
      await tab.click("role=tab[name=Lessons]");
      await tab.click("[data-lesson=hup-rdhup]:enabled");
      await tab.waitForSelector(".question");
      await tab.click(".question button:last-of-type");
      await tab.waitForSelector(".checks", { state: "attached" });
      expect(await overflow()).toBeLessThanOrEqual(0);
      await screenshot(tab, `phone-lesson-${colorScheme}`);
    });

    test.each(LESSONS.slice(0, scaled(1, LESSONS.length)))(
      "lesson $id runs from the first step to the last, and every statement holds",
      async ({ id, title }) => {
        await tab.emulateMedia({ colorScheme: id.length % 2 === 0 ? "dark" : "light" });
        await tab.click("role=tab[name=Lessons]");
        await tab.click(`[data-lesson=${id}]:enabled`);
        await waitForText(tab, "article > h2", new RegExp(`^${title}$`));
        for (;;) {
          const heading = await tab.innerText("article > h3");
          const question = tab.locator(".question");
          if ((await question.count()) > 0) {
            // The answer comes before the result and the next step.
            expect(await tab.locator(".checks, .step-navigation .primary:enabled").count()).toBe(0);
            await question.locator("button").last().click();
            await tab.waitForSelector(".question .right");
          }
          await tab.waitForSelector(".checks", { state: "attached" });
          expect(await tab.locator(".checks .fails").count()).toBe(0);
          await screenshot(tab, `lesson-${id}-${heading.split(" ")[0]}`);
          if ((await tab.locator(".step-navigation .primary").count()) === 0) break;
          await tab.click(".step-navigation .primary");
          await tab.waitForFunction((text) => document.querySelector("article > h3")?.textContent !== text, heading);
        }
        expect(await tab.innerText(".step-navigation strong")).toContain("Every statement was confirmed");
        expect(await tab.innerText(`[data-lesson=${id}]`)).toContain("✓");
      },
    );
  });
});

/** Opens the page of a saved trace. */
function openTrace(name: string, events: readonly TraceEvent[]): Promise<InspectorServer> {
  const trace = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  return InspectorServer.open({ port: 0, source: { name, trace }, command: [process.execPath, cli] });
}

/** Returns the contrast ratio of two colors, from 1 to 21, as WCAG 2.2 defines it. */
function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}
