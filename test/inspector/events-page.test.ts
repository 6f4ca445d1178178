// The events in the page: filter, warnings, ranges, links, copies, the keyboard, and accessibility as axe-core judges it.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page as Tab } from "playwright-core";
import type { TraceEvent } from "../../src/index.ts";
import { Target } from "../../src/tools/debugger/target.ts";
import { InspectorServer } from "../../src/tools/inspector/inspector-server.ts";
import { LiveView } from "../../src/tools/inspector/live-view.ts";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { type Inspected, inspected } from "../support/inspected.ts";
import { cli, root } from "../support/programs.ts";
import { openTrace, traceServer } from "../support/traced-server.ts";

setDefaultTimeout(60_000);

const REQUEST = "GET /a?token=s3cret HTTP/1.1\r\nHost: example.org\r\nCookie: id=s3cret\r\n\r\n";

let opened: Awaited<ReturnType<typeof openBrowser>>;

async function visit(url: string, options: object = {}): Promise<Tab> {
  const context = await opened.browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const tab = await context.newPage();
  tab.setDefaultTimeout(20_000);
  await tab.goto(url);
  await tab.waitForSelector(".timeline .chart");
  return tab;
}

const selectedLine = (tab: Tab): Promise<string> => tab.innerText(".events .is-selected");

/** Waits until the selected row of the event list matches. */
async function waitForLine(tab: Tab, pattern: RegExp): Promise<void> {
  await tab.waitForFunction(
    (source) => new RegExp(source).test(document.querySelector(".events .is-selected")?.textContent ?? ""),
    pattern.source,
  );
}

/** Returns what axe-core finds: the rule, the element, and what is wrong. */
async function axeViolations(tab: Tab): Promise<string[]> {
  await tab.evaluate(readFileSync(join(root, "node_modules/axe-core/axe.min.js"), "utf8"));
  return await tab.evaluate(async () => {
    interface Result {
      passes: unknown[];
      violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
    }
    const { axe } = globalThis as unknown as { axe: { run(): Promise<Result> } };
    const { passes, violations } = await axe.run();
    if (passes.length < 20) return [`only ${passes.length} rules apply`];
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
  });
}

describe.skipIf(!hasBrowser)("in Chromium", () => {
  beforeAll(async () => {
    opened = await openBrowser();
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });

  describe("a saved trace", () => {
    let events: TraceEvent[];
    let page: InspectorServer;
    let tab: Tab;

    beforeAll(async () => {
      events = await traceServer(3, 20, REQUEST);
      const last = events.at(-1) as TraceEvent;
      const recv = events.find(({ type, at }) => type === "recv" && at !== undefined);
      const { seq, us, iteration } = last;
      const fd = events.find((event) => event.type === "accept")?.fd ?? 0;
      const warning = { type: "warning", code: "busy-loop", fd, message: "stays ready", count: 40, at: recv?.at };
      events.push({ ...warning, seq: seq + 1, us, iteration } as unknown as TraceEvent);
      page = await openTrace("saved.jsonl", events);
      tab = await visit(page.controlUrl, { acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
    });
    afterEach(async () => {
      await tab.setViewportSize({ width: 1400, height: 900 });
      await tab.fill("#event-filter", "");
      await tab.press("#event-filter", "Enter");
      await tab.evaluate(() => (document.activeElement as HTMLElement).blur());
      await tab.keyboard.press("Escape");
      await tab.keyboard.press("Home");
    });
    afterAll(async () => {
      await tab.context().close();
      await page[Symbol.asyncDispose]();
    });

    test("a run of empty waits is one row with its length", async () => {
      const rows = await tab.locator(".events .event").allInnerTexts();
      expect(rows.filter((row) => / = \[\] .*× \d+/s.test(row)).length).toBe(3);
      expect(rows.filter((row) => / = \[\]/.test(row)).length).toBe(3);
    });

    test("the filter keeps the matching rows, m and Shift+M go from one to the next, and / leads to it", async () => {
      await tab.keyboard.press("/");
      await tab.keyboard.type("type:recv");
      await tab.waitForFunction(() => document.querySelectorAll(".events .event").length === 3);
      expect(await tab.innerText("#filter-status")).toBe("3 rows match");
      await tab.keyboard.press("Enter");
      await waitForLine(tab, /recv/);
      const first = await tab.innerText(".slider .at");
      await tab.evaluate(() => (document.activeElement as HTMLElement).blur());
      await tab.keyboard.press("m");
      await tab.waitForFunction((text) => document.querySelector(".slider .at")?.textContent !== text, first);
      await tab.keyboard.press("Shift+M");
      await tab.waitForFunction((text) => document.querySelector(".slider .at")?.textContent === text, first);
      expect(await tab.locator(".mark.is-dimmed").count()).toBeGreaterThan(0);
    });

    test("a mistake in the filter is explained", async () => {
      await tab.fill("#event-filter", "color:red");
      await tab.waitForSelector("#filter-status[role=alert]");
      expect(await tab.innerText("#filter-status")).toContain("color is not a key");
    });

    test("a warning shows its count, fd and source line, and leads to the event, the fd and the source", async () => {
      const { fd, at } = events.at(-1) as { fd: number; at: string };
      expect((await tab.innerText(".warnings li")).replace(/\s+/g, " ")).toContain(`busy-loop × 40 fd ${fd}`);
      expect(await tab.innerText(".warnings li code")).toBe(at);
      await tab.click(".warnings li button");
      await waitForLine(tab, /busy-loop/);
      await tab.waitForSelector(`.fd-table tr.is-selected >> text="${fd}"`);
      await tab.waitForFunction((text) => document.querySelector(".source figcaption")?.textContent === text, at);
    });

    test("w goes to the next warning, and Shift+W to the one before", async () => {
      await tab.keyboard.press("w");
      await waitForLine(tab, /busy-loop/);
      await tab.keyboard.press("Home");
      await waitForLine(tab, /listen|create/);
    });

    test("dragging across the timeline selects a range with totals, and so does Shift with an arrow key", async () => {
      await tab.click("text=All");
      const box = await tab.locator(".chart").boundingBox();
      if (box === null) throw new Error("the timeline is not visible");
      await tab.mouse.move(box.x + 60, box.y + 40);
      await tab.mouse.down();
      await tab.mouse.move(box.x + box.width - 1, box.y + 45, { steps: 4 });
      await tab.mouse.up();
      await tab.waitForSelector(".range");
      const received = events.reduce((sum, e) => sum + (e.type === "recv" ? Math.max(0, e.result) : 0), 0);
      await tab.waitForSelector(`.range dd >> text=/^${received} B/`);
      expect(await tab.locator(".range tbody tr").count()).toBeGreaterThan(0);
      await tab.keyboard.press("Escape");
      await tab.waitForSelector(".range", { state: "detached" });
      await tab.keyboard.press("Home");
      for (let i = 0; i < 3; i++) await tab.keyboard.press("Shift+ArrowRight");
      await tab.waitForSelector(".range h3 >> text=/Range: 4 events/");
      await tab.click("text=Reset");
    });

    test("the timeline zooms and pans by keys, and every event remains in reach", async () => {
      const shown = (): Promise<string> => tab.innerText(".timeline .shown");
      await tab.selectOption("select[aria-label='Time axis']", "time");
      await tab.click("text=All");
      await tab.focus(".chart");
      const all = await shown();
      for (const key of ["+", "+", "+"]) await tab.keyboard.press(key);
      await tab.waitForFunction((text) => document.querySelector(".timeline .shown")?.textContent !== text, all);
      const tick = (): Promise<string> => tab.locator(".tick text").first().innerHTML();
      const before = await tick();
      await tab.keyboard.press("PageUp");
      await tab.keyboard.press("PageUp");
      await tab.waitForFunction((text) => document.querySelector(".tick text")?.innerHTML !== text, before);
      await tab.keyboard.press("End"); // selects the last event, which brings it into view
      await tab.waitForSelector(".mark.is-selected");
      await tab.selectOption("select[aria-label='Time axis']", "order");
    });

    test("the address names the selected event, and selects it when it is opened", async () => {
      const { seq } = events.find(({ type }) => type === "send") as TraceEvent;
      const other = await visit(`${page.viewUrl}&e=${seq}`);
      await waitForLine(other, /send\(/);
      await other.waitForFunction((hash) => location.hash === hash, `#e=${seq}`);
      await other.keyboard.press("ArrowLeft");
      await other.waitForFunction((hash) => location.hash !== hash, `#e=${seq}`);
      await other.context().close();
    });

    test("copies the text and a link for viewing; as curl without credentials, unless they are asked for", async () => {
      const { seq } = events.find(({ type }) => type === "recv") as TraceEvent;
      await tab.fill("#event-filter", "type:recv");
      await tab.press("#event-filter", "Enter");
      await tab.press("#event-filter", "Enter");
      await waitForLine(tab, /recv/);
      const copied = async (label: string): Promise<string> => {
        await tab.evaluate(() => navigator.clipboard.writeText(""));
        await tab.click(`.actions >> text=${label}`);
        await tab.waitForFunction(async () => (await navigator.clipboard.readText()) !== "");
        return await tab.evaluate(() => navigator.clipboard.readText());
      };
      expect(await copied("Copy text")).toMatch(/^recv\(\d+\) = \d+/);
      expect(await copied("Copy link")).toBe(`${page.viewUrl}&e=${seq}`);
      const curl = await copied("Copy as curl");
      expect(curl).toStartWith("curl 'http://example.org/a?token=");
      expect(curl).not.toContain("s3cret");
      await tab.check(".actions input");
      expect(await copied("Copy as curl")).toMatch(/token=s3cret.*Cookie: id=s3cret/);
    });

    test("saves the trace, and a range of it", async () => {
      const save = async (label: string): Promise<string> => {
        const [download] = await Promise.all([tab.waitForEvent("download"), tab.click(`text=${label}`)]);
        expect(download.suggestedFilename()).toMatch(/^trace-\d{8}-\d{6}\.jsonl$/);
        return readFileSync(await download.path(), "utf8");
      };
      expect(await save("Save trace")).toBe(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
      await tab.keyboard.press("Home");
      await tab.keyboard.press("Shift+ArrowRight");
      await tab.waitForSelector("text=Save range");
      expect((await save("Save range")).split("\n").length).toBeGreaterThanOrEqual(3);
    });

    test("tabs: the arrow keys select, and the panel is labeled by its tab", async () => {
      await tab.focus("role=tab[name='Event loop']");
      await tab.keyboard.press("ArrowRight");
      await tab.waitForSelector("role=tabpanel[name=Lessons]");
      expect(await tab.evaluate(() => document.activeElement?.textContent)).toBe("Lessons");
      await tab.keyboard.press("Home");
      await tab.waitForSelector("role=tabpanel[name='Event loop']");
    });

    test("shortcuts of a single letter can be turned off, and stay off", async () => {
      await tab.keyboard.press("?");
      await tab.waitForSelector("dialog[open]");
      await tab.uncheck("dialog input");
      await tab.keyboard.press("Escape");
      await tab.waitForSelector("dialog[open]", { state: "detached" }).catch(() => {});
      await tab.keyboard.press("w");
      await tab.keyboard.press("ArrowRight"); // not a letter
      expect(await selectedLine(tab)).not.toContain("busy-loop");
      await tab.reload();
      await tab.waitForSelector(".chart");
      await tab.click("text=Shortcuts");
      expect(await tab.isChecked("dialog input")).toBe(false);
      await tab.check("dialog input");
      await tab.click("dialog >> text=Close");
      await tab.keyboard.press("Home");
      await tab.keyboard.press("w");
      await waitForLine(tab, /busy-loop/);
    });

    test("the skip link leads to the content", async () => {
      await tab.reload();
      await tab.waitForSelector(".chart");
      await tab.keyboard.press("Tab");
      await tab.keyboard.press("Enter");
      expect(await tab.evaluate(() => document.activeElement?.id)).toBe("main");
    });

    test.each([390, 1024, 1180, 1400, 1920, 2560])("nothing is cut off at %d pixels", async (width) => {
      await tab.setViewportSize({ width, height: 900 });
      await tab.waitForTimeout(0);
      const cut = await tab.evaluate(() => {
        const isCut = ({ scrollWidth, clientWidth }: Element): boolean => scrollWidth > clientWidth + 1;
        const elements = [
          document.documentElement,
          ...document.querySelectorAll("section, .events, .event, pre, .fd-table .details span"),
        ];
        return elements.filter(isCut).map((element) => `${element.tagName}.${element.className}`);
      });
      expect(cut).toEqual([]);
      const { right, chartRight } = await tab.evaluate(() => ({
        right: document.querySelector(".mark:last-of-type rect")?.getBoundingClientRect().right ?? Infinity,
        chartRight: innerWidth,
      }));
      expect(right).toBeLessThanOrEqual(chartRight);
    });
  });

  describe("a running server", () => {
    let it: Inspected;
    let tab: Tab;

    beforeAll(async () => {
      it = await inspected({ keepAlive: false, eager: false }, 100);
      tab = await visit(it.page.controlUrl);
      await (await fetch(it.url)).text();
      await tab.waitForSelector(".mark.close");
    });
    afterAll(async () => {
      await tab.context().close();
      await it[Symbol.asyncDispose]();
    });

    test("the row that the keyboard is at stays, while events arrive", async () => {
      await tab.focus(".events");
      const active = (): Promise<string | null> => tab.getAttribute(".events", "aria-activedescendant");
      const before = await active();
      expect(before).not.toBeNull();
      const seq = await tab.innerText(".slider .at");
      for (let i = 0; i < 3; i++) await (await fetch(it.url)).text();
      await tab.waitForFunction((text) => document.querySelector(".slider .at")?.textContent !== text, seq);
      await tab.waitForSelector(".newer");
      expect(await active()).toBe(before);
      expect(await tab.evaluate(() => document.activeElement?.className)).toBe("events");
      await tab.click(".newer");
      await tab.waitForSelector(".newer", { state: "detached" });
    });

    test("a row keeps its place under the pointer, while events arrive", async () => {
      await tab.evaluate(() => (document.activeElement as HTMLElement).blur());
      const row = tab.locator(".events .event.close").last();
      await row.hover();
      const [id, box] = [await row.getAttribute("id"), await row.boundingBox()];
      const at = await tab.innerText(".slider .at");
      for (let i = 0; i < 3; i++) await (await fetch(it.url)).text();
      await tab.waitForFunction((text) => document.querySelector(".slider .at")?.textContent !== text, at);
      await tab.waitForSelector(".newer");
      expect(await tab.locator(`#${id}`).boundingBox()).toEqual(box as never);
      await tab.mouse.move(0, 0);
    });

    test.each(["light", "dark"] as const)(
      "axe-core finds nothing while it runs or is paused, %s",
      async (colorScheme) => {
        await tab.emulateMedia({ colorScheme });
        expect(await axeViolations(tab)).toEqual([]);
        await it.send({ kind: "start-client", client: "partial-head" });
        await it.send({ kind: "pause" });
        await tab.waitForSelector(".status[data-run=paused]");
        await tab.click(".fd-table tbody tr:last-child button");
        await tab.waitForSelector(".fd-details dl");
        await tab.click("text=Legend");
        await tab.click("text=Filter syntax");
        await tab.fill("#event-filter", "type:accept,recv -errno:*");
        await tab.keyboard.press("Enter");
        await tab.evaluate(() => (document.activeElement as HTMLElement).blur());
        await tab.keyboard.press("Shift+ArrowLeft");
        await tab.waitForSelector(".range");
        expect(await axeViolations(tab)).toEqual([]);
        await tab.keyboard.press("Escape");
        await tab.keyboard.press("?");
        expect(await axeViolations(tab)).toEqual([]);
        await tab.keyboard.press("Escape");
        await tab.click("text=Legend");
        await tab.click("text=Filter syntax");
        await tab.keyboard.press("End");
        await it.send({ kind: "resume", mode: { kind: "continue" } });
        await tab.waitForSelector(".status[data-run=running]");
      },
    );

    test("axe-core finds nothing on a phone, and in a lesson", async () => {
      await tab.setViewportSize({ width: 390, height: 844 });
      expect(await axeViolations(tab)).toEqual([]);
      await tab.click("role=tab[name=Lessons]");
      expect(await axeViolations(tab)).toEqual([]);
      await tab.click("[data-lesson=hup-rdhup]:enabled");
      await tab.waitForSelector(".question");
      await tab.click(".question button:last-of-type");
      await tab.waitForSelector(".checks", { state: "attached" });
      expect(await axeViolations(tab)).toEqual([]);
      await tab.click("role=tab[name='Event loop']");
    });
  });

  test("a busy loop that is paused shows the line where it spins", async () => {
    const folder = mkdtempSync(join(tmpdir(), "epoll-hello-busy-"));
    const program = join(folder, "busy.ts");
    const index = JSON.stringify(join(root, "src/index.ts"));
    writeFileSync(
      program,
      `import { Epoll, EPOLLIN, socketpair } from ${index};
const [local, peer] = socketpair();
const epoll = new Epoll();
epoll.register(local, EPOLLIN);
peer.send("never read");
for (;;) {
  epoll.poll(1000); // spins
}
`,
    );
    const view = await LiveView.open(
      ({ onSample, onState }) => Target.start({ program: [program], onSample, onState, isPaused: false }),
      { releaseGraceMs: Infinity },
    );
    const page = await InspectorServer.open({ port: 0, source: { view }, command: [process.execPath, cli] });
    const tab = await visit(page.controlUrl);
    try {
      await tab.waitForSelector(".events-section >> text=/skipped/");
      await tab.keyboard.press("Space");
      await tab.waitForSelector(".status[data-run=paused]");
      await tab.waitForSelector(".source .is-current >> text=/spins/");
      expect(view.target.stop?.event?.at).toBe(`${program}:7`);
    } finally {
      await tab.context().close();
      await page[Symbol.asyncDispose]();
      view[Symbol.dispose]();
      await view.target.end();
      rmSync(folder, { recursive: true });
    }
  });
});
