// The page in a real browser: each control, each client, each lesson, a saved trace; both themes, a phone's width, the keyboard.

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
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);

/** Where pictures go, if somebody wants to look at them: SCREENSHOTS=folder bun test test/page */
const pictures = process.env["SCREENSHOTS"];
if (pictures !== undefined) mkdirSync(pictures, { recursive: true });

let opened: Awaited<ReturnType<typeof openBrowser>>;
let open: Inspected | undefined;
const tabs: Tab[] = [];
/** What the page's program or the browser complains of: nothing, each time. */
let complaints: string[] = [];

describe.skipIf(!hasBrowser)("in Chromium", () => {
  beforeAll(async () => {
    opened = await openBrowser();
  });
  afterAll(async () => {
    await opened[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    for (const tab of tabs.splice(0)) await tab.context().close();
    await open?.[Symbol.asyncDispose]();
    open = undefined;
    expect(complaints.splice(0)).toEqual([]);
  });

  interface Looks {
    width?: number;
    height?: number;
    theme?: "light" | "dark";
    reducedMotion?: "reduce" | "no-preference";
  }

  async function visit(
    url: string,
    { width = 1440, height = 1000, theme = "light", reducedMotion }: Looks = {},
  ): Promise<Tab> {
    const context = await opened.browser.newContext({
      viewport: { width, height },
      colorScheme: theme,
      reducedMotion: reducedMotion ?? "no-preference",
    });
    const tab = await context.newPage();
    tab.setDefaultTimeout(20_000);
    tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    tab.on("pageerror", ({ message }) => complaints.push(message));
    tab.on("request", (request) => {
      if (!request.url().startsWith("http://127.0.0.1:") && !request.url().startsWith("data:"))
        complaints.push(request.url());
    });
    tabs.push(tab);
    await tab.goto(url);
    await tab.waitForSelector("h1");
    return tab;
  }

  async function watched(looks: Looks = {}): Promise<{ it: Inspected; tab: Tab }> {
    open = await inspected({ keepAlive: false, eager: false });
    return { it: open, tab: await visit(open.page.controlUrl, looks) };
  }

  const status = (tab: Tab): Promise<string | null> => tab.getAttribute(".status", "data-run");
  const until = (tab: Tab, run: string): Promise<unknown> => tab.waitForSelector(`.status[data-run=${run}]`);
  const here = (tab: Tab): Promise<string> => tab.innerText(".events .here");

  async function picture(tab: Tab, name: string): Promise<void> {
    if (pictures !== undefined) await tab.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  }

  test("it shows the loop: lists, table, timeline; the token is taken out of the address", async () => {
    const { it, tab } = await watched();
    expect(await tab.innerText("h1")).toContain(it.url);
    expect(tab.url()).toBe(it.page.url);
    await fetch(it.url);
    await tab.waitForSelector(".mark.close");
    for (const kind of ["accept", "recv", "send", "shutdown"])
      expect(await tab.locator(`.mark.${kind}`).count()).toBe(1);
    const rows = await tab.locator("tbody tr").allInnerTexts();
    expect(rows.some((row) => /listener.*listens at 127\.0\.0\.1/s.test(row))).toBe(true);
    expect(await tab.innerText(".kernel")).toContain("interest list (1)");
    expect(await tab.locator(".trouble").count()).toBe(0);
  });

  test("by the keys: space pauses and goes on, s steps, n waits, r ends a turn, the arrows go back and forth", async () => {
    const { it, tab } = await watched();
    await tab.keyboard.press("Space");
    await until(tab, "stopped");
    const reply = fetch(it.url);
    while (!/\[\(\d+, EPOLLIN\)\]/.test(await here(tab))) {
      const before = await tab.innerText(".scrubber output");
      await tab.keyboard.press("n");
      await tab.waitForFunction((text) => document.querySelector(".scrubber output")?.textContent !== text, before);
    }
    await tab.keyboard.press("s");
    await tab.waitForFunction(() => /accept4/.test(document.querySelector(".events .here")?.textContent ?? ""));
    expect(await tab.innerText(".source figcaption")).toMatch(/^src\/server\/[\w-]+\.ts:\d+$/);
    expect(await tab.innerText(".source .here")).toContain("->");
    await tab.waitForSelector(".chip.ready");

    await tab.keyboard.press("ArrowLeft");
    await tab.waitForFunction(() => /epoll_wait/.test(document.querySelector(".events .here")?.textContent ?? ""));
    expect(await tab.innerText(".status")).toContain("You look at its past.");
    await tab.keyboard.press("End");
    await tab.waitForFunction(() => !/past/.test(document.querySelector(".status")?.textContent ?? ""));
    await tab.keyboard.press("r");
    await tab.waitForFunction(() => !/accept4/.test(document.querySelector(".events .here")?.textContent ?? ""));
    await tab.keyboard.press("Space");
    expect(await (await reply).text()).toBe("Hello from Epoll server!");
    await until(tab, "running");
  });

  test("by the buttons: the same; a breakpoint; the kernel's list; why", async () => {
    const { it, tab } = await watched();
    await tab.selectOption(".breakpoints select[aria-label=which]", "recv");
    await tab.click(".breakpoints button[type=submit]");
    await tab.waitForSelector(".breakpoints li");
    const reply = fetch(it.url);
    await until(tab, "stopped");
    await tab.waitForSelector(".breakpoints li.here");
    expect(await here(tab)).toMatch(/recv\(\d+\) = /);
    await tab.click("text=Compare our list with the kernel's");
    await tab.waitForSelector("text=No difference: 2 are watched");
    await tab.click("tbody tr:last-child button");
    await tab.waitForSelector(".look dl");
    expect(await tab.innerText(".look")).toMatch(/TCP connection with 127\.0\.0\.1:\d+, ESTABLISHED/);
    await picture(tab, "stopped-light");
    await tab.click("text=Remove");
    await tab.waitForFunction(() => document.querySelector(".breakpoints li") === null);
    await tab.click("text=Continue");
    expect((await reply).status).toBe(200);
    await until(tab, "running");
  });

  test("slow motion; numbers, as in the document", async () => {
    const { it, tab } = await watched();
    await tab.selectOption(".controls select", "10");
    const reply = fetch(it.url);
    expect((await reply).status).toBe(200);
    await tab.check(".check input");
    await tab.waitForFunction(() =>
      /epoll_wait\(\d+, \d+\) = \[(?:\(\d+, \d+\))?\]/.test(document.querySelector(".events")?.textContent ?? ""),
    );
    await tab.selectOption(".controls select", "0");
    await until(tab, "running");
  });

  test("who has no token looks, and touches nothing; who looks at the past does so alone", async () => {
    const { it, tab } = await watched();
    await fetch(it.url);
    const viewer = await visit(it.page.url);
    await viewer.waitForSelector(".mark.close");
    expect(await viewer.innerText(".status")).toContain("View only");
    for (const button of await viewer.locator(".kinds button, .controls .main").all()) {
      expect(await button.isDisabled()).toBe(true);
    }
    await viewer.keyboard.press("Space");
    await viewer.keyboard.press("Home");
    await viewer.waitForFunction(() => /past/.test(document.querySelector(".status")?.textContent ?? ""));
    expect(await status(tab)).toBe("running");
    expect(await tab.innerText(".status")).not.toContain("past");
    await viewer.click("role=tab[name=Lessons]");
    expect(await viewer.locator(".lessons nav button").first().isDisabled()).toBe(true);
  });

  test("the scrubber goes through the past, iteration by iteration, and the lists with it", async () => {
    const { it, tab } = await watched();
    await fetch(it.url);
    await tab.waitForSelector(".mark.close");
    const max = Number(await tab.getAttribute(".scrubber input", "max"));
    const seen = new Set<string>();
    for (let at = 0; at <= max; at++) {
      await tab.evaluate((value) => {
        const input = document.querySelector<HTMLInputElement>(".scrubber input");
        if (input === null) throw new Error("there is no scrubber");
        input.value = String(value);
        input.dispatchEvent(new Event("input", { bubbles: true }));
      }, at);
      await tab.waitForSelector(`.loop[data-position="${at}"]`);
      seen.add((await tab.innerText(".kernel")).replace(/\s+/g, " "));
    }
    expect([...seen].some((text) => /interest list \(0\)/.test(text))).toBe(true);
    expect([...seen].some((text) => /interest list \(2\).*ready list \(1\)/.test(text))).toBe(true);
  });

  test("try it: a client is opened, seen by the loop, and closed", async () => {
    const { tab } = await watched();
    await tab.click("[data-try=half-head]");
    await tab.waitForSelector("[data-kind=half-head].is-open");
    await tab.waitForFunction(() =>
      [...document.querySelectorAll("tbody tr")].some((row) => /head/.test(row.textContent ?? "")),
    );
    await tab.click("[data-kind=half-head] button");
    await tab.waitForFunction(() => document.querySelector("[data-kind=half-head].is-open") === null);
    await tab.click("[data-try=never-reads]");
    await tab.waitForSelector("[data-kind=never-reads] >> text=/reads nothing/");
    await picture(tab, "tries-light");
  });

  test.each(LESSONS.slice(0, scaled(3, LESSONS.length)).map(({ id }) => id))(
    "lesson %s: from its first step to its end, by what the kernel has answered",
    async (id) => {
      const { tab } = await watched({ theme: id.length % 2 === 0 ? "dark" : "light" });
      await tab.click("role=tab[name=Lessons]");
      await tab.click(`[data-lesson=${id}]`);
      await tab.waitForSelector("article h3");
      for (;;) {
        const question = tab.locator(".question");
        if ((await question.count()) > 0) {
          const goOn = tab.locator(".turn .main");
          if ((await goOn.count()) > 0) expect(await goOn.isDisabled()).toBe(true); // first an answer
          expect(await tab.locator(".checks").count()).toBe(0);
          await question.locator("button").last().click();
          await tab.waitForSelector(".question .right");
        }
        await tab.waitForSelector(".checks", { state: "attached" });
        expect(await tab.locator(".checks .fails").count()).toBe(0);
        await picture(tab, `lesson-${id}-${(await tab.innerText("article > h3")).split(" ")[0]}`);
        if ((await tab.locator(".turn .main").count()) === 0) break;
        const before = await tab.innerText("article > h3");
        await tab.click(".turn .main");
        await tab.waitForFunction((text) => document.querySelector("article > h3")?.textContent !== text, before);
      }
      expect(await tab.innerText(".turn strong")).toContain("the kernel has confirmed every claim");
      expect(await tab.innerText(`[data-lesson=${id}]`)).toContain("✓");
    },
  );

  test.each(["light", "dark"] as const)("as narrow as a phone, %s: nothing sticks out", async (theme) => {
    const { it, tab } = await watched({ width: 390, height: 844, theme });
    await fetch(it.url);
    await tab.click("[data-try=silent]");
    await tab.waitForSelector(".mark.close");
    const sticksOut = (): Promise<number> => tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(await sticksOut()).toBeLessThanOrEqual(0);
    await picture(tab, `phone-${theme}`);
    await tab.click("role=tab[name=Lessons]");
    await tab.click("[data-lesson=hup-rdhup]");
    await tab.waitForSelector("article h3");
    await tab.click(".question button:last-of-type");
    expect(await sticksOut()).toBeLessThanOrEqual(0);
    await picture(tab, `phone-lesson-${theme}`);
  });

  test("a theme of its own for the dark; words stand out from what is behind them in both", async () => {
    const { tab } = await watched({ theme: "dark" });
    const light = await visit((open as Inspected).page.controlUrl, { theme: "light" });
    const paper = (one: Tab): Promise<string> => one.evaluate(() => getComputedStyle(document.body).backgroundColor);
    expect(await paper(tab)).not.toBe(await paper(light));
    for (const one of [tab, light]) {
      const pairs = await one.evaluate(() => {
        const style = getComputedStyle(document.documentElement);
        const of = (name: string): string => style.getPropertyValue(name).trim();
        return [
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
        ].map(([a = "", b = ""]) => [a, b, of(a), of(b)] as const);
      });
      const faint = pairs.filter(([, , a, b]) => contrast(a, b) < 4.5); // WCAG 2.2, 1.4.3
      expect(faint).toEqual([]);
    }
  });

  test("who wants no motion gets none", async () => {
    const { tab } = await watched({ reducedMotion: "reduce" });
    await tab.waitForSelector(".chip");
    expect(
      await tab.evaluate(() => getComputedStyle(document.querySelector(".chip") as Element).transitionDuration),
    ).toBe("0s");
  });

  test("by the keyboard alone: each control is reached, and says its name", async () => {
    const { tab } = await watched();
    const names: string[] = [];
    for (let i = 0; i < 40; i++) {
      await tab.keyboard.press("Tab");
      names.push(
        await tab.evaluate(() => {
          const it = document.activeElement as HTMLElement;
          return it.getAttribute("aria-label") ?? it.closest("label")?.textContent ?? it.textContent ?? "";
        }),
      );
    }
    expect(names.filter((name) => name.trim() === "")).toEqual([]);
    for (const wanted of ["Lessons", "Pause", "numbers, as in the document", "A request, as it should be"]) {
      expect(names.some((name) => name.includes(wanted))).toBe(true);
    }
  });

  test("a saved trace, offline: the same page steps through it, and there is nobody to order about", async () => {
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
    const trace = events.map((event) => `${JSON.stringify(event)}\n`).join("");
    await using page = await InspectorServer.open({
      port: 0,
      shows: { name: "walk.jsonl", trace },
      command: [process.execPath, cli],
    });
    const tab = await visit(page.controlUrl);
    await tab.waitForSelector(".mark.wait");
    expect(await tab.innerText(".status")).toContain("A trace that was saved.");
    const walk: string[] = [];
    for (let i = 0; i < 6; i++) {
      walk.push((/= (\[.*\])/.exec(await here(tab))?.[1] ?? "").replace(/\d+/, "fd"));
      const before = await here(tab);
      await tab.keyboard.press("n");
      if (i < 3)
        await tab.waitForFunction(
          (text) => (document.querySelector(".events .here") as HTMLElement).innerText !== text,
          before,
        );
    }
    expect(walk.slice(0, 4)).toEqual(["[(fd, EPOLLIN)]", "[(fd, EPOLLIN)]", "[(fd, EPOLLOUT)]", "[(fd, EPOLLHUP)]"]);
    expect(await tab.locator(".tries").count()).toBe(0);
    await picture(tab, "saved-light");
  });

  test("warnings: in their list, at their event, and at their descriptor", async () => {
    const report = await runLesson("forgotten-epollout");
    const trace = (report?.events ?? []).map((event) => `${JSON.stringify(event)}\n`).join("");
    await using page = await InspectorServer.open({
      port: 0,
      shows: { name: "busy.jsonl", trace },
      command: [process.execPath, cli],
    });
    const tab = await visit(page.controlUrl, { theme: "dark" });
    await tab.waitForSelector(".warnings li");
    expect(await tab.innerText(".warnings")).toContain("watch EPOLLOUT only while output waits");
    await tab.keyboard.press("End");
    await tab.waitForSelector("tbody tr >> text=⚠ idle-epollout");
    while ((await tab.locator(".mark.warning").count()) === 0) {
      const before = await tab.getAttribute(".loop", "data-position");
      await tab.keyboard.press("ArrowLeft");
      await tab.waitForSelector(`.loop:not([data-position="${before}"])`);
    }
    await picture(tab, "warnings-dark");
  });

  test("the server's end is told", async () => {
    const { it, tab } = await watched();
    await it.inspector.target.end();
    await until(tab, "ended");
    expect(await tab.innerText(".status")).toContain("has ended");
  });
});

/** WCAG 2.2: from 1 to 21. */
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
