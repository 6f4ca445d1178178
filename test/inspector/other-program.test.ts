// The walk of the tutorial on the page, on the tutorial's own Python program, which knows nothing of this package.

import { expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { Target } from "../../src/tools/debugger/target.ts";
import { InspectorServer } from "../../src/tools/inspector/inspector-server.ts";
import { LiveView } from "../../src/tools/inspector/live-view.ts";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { Client } from "../support/client.ts";
import { cli } from "../support/programs.ts";
import { python } from "../support/python.ts";

setDefaultTimeout(60_000);

const command: string[] = [python ?? "python3", "examples/tutorial.py", "--port", "0"];

/** Steps to the next wait until it returns this list: the program waits for a second at a time, and returns without an event. */
async function untilWait(tab: Page, list: string): Promise<void> {
  const pattern = `= ${list.replaceAll("[", "\\[").replaceAll("(", "\\(").replaceAll(")", "\\)").replaceAll("]", "\\]")}`;
  for (;;) {
    const before = await tab.getAttribute(".loop", "data-position");
    await tab.keyboard.press("n");
    await tab.waitForFunction(
      (position) =>
        document.querySelector(".loop")?.getAttribute("data-position") !== position &&
        document.querySelector(".status")?.getAttribute("data-run") === "paused",
      before,
    );
    const line = await tab.innerText(".event-detail .line");
    if (new RegExp(pattern).test(line)) return;
    if (!line.endsWith("[]") && !line.includes("= []")) throw new Error(`expected ${list}, found ${line}`);
  }
}

test.skipIf(python === undefined || !hasBrowser)(
  "the page shows them, with the kernel's state of the program",
  async () => {
    const process = { target: { command }, follows: true, stopsAll: false };
    using view = await LiveView.open(
      ({ onSample, onState }) => Target.start({ process, isPaused: true, onSample, onState }),
      { releaseGraceMs: Infinity },
    );
    const { target } = view;
    try {
      await using page = await InspectorServer.open({
        port: 0,
        source: { view },
        command: [globalThis.process.execPath, cli],
      });
      await using opened = await openBrowser();
      const tab = await (await opened.browser.newContext({ viewport: { width: 1440, height: 1000 } })).newPage();
      const problems: string[] = [];
      tab.on("pageerror", ({ message }) => problems.push(message));
      await tab.goto(page.controlUrl);
      await tab.waitForSelector(".status[data-run=paused]");
      await tab.getByLabel("Masks as numbers").check();
      await tab.locator("h1").click(); // so that keys are shortcuts
      await untilWait(tab, "[]");
      const [address] = target.location.addresses;
      if (address === undefined || !("port" in address)) throw new Error("it does not listen on a port");
      using client = new Client(address);
      await untilWait(tab, "[(3, 1)]");
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await untilWait(tab, "[(5, 1)]");
      // The kernel's state of another process: the request waits in its receive queue.
      await tab.locator(".fd-table tbody th button", { hasText: /^5$/ }).click();
      await tab.waitForFunction(() =>
        /registered with epoll fd 4 for EPOLLIN/.test(document.querySelector(".fd-details")?.textContent ?? ""),
      );
      expect(await tab.innerText(".fd-details")).toContain("The receive queue holds 27 bytes");
      await tab.getByRole("button", { name: "Compare with the kernel" }).click();
      await tab.waitForSelector(".interest-diff [role=status]");
      expect(await tab.innerText(".interest-diff")).toContain(
        "No differences: all 2 registered masks match the kernel's.",
      );
      await tab.locator("h1").click();
      await untilWait(tab, "[(5, 4)]");
      await untilWait(tab, "[(5, 16)]");
      await untilWait(tab, "[]");
      await tab.waitForFunction(
        () =>
          [...document.querySelectorAll(".fd-table tbody th button")].map((one) => one.textContent).join() ===
          "0,1,2,3,4",
      );
      expect(problems).toEqual([]);
    } finally {
      await target.end();
    }
  },
);
