// A real browser: headless Chromium, driven by Playwright over its debugging socket.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";

const path: string | undefined = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);

export const hasBrowser: boolean = path !== undefined;

/**
 * Start a browser with a new profile; disposing of it ends its processes.
 *
 * Not by `chromium.launch`: Playwright's pipe to a browser that it started never answers under Bun.
 */
export async function openBrowser(): Promise<{ browser: Browser } & AsyncDisposable> {
  const profile = mkdtempSync(join(tmpdir(), "epoll-hello-chromium-"));
  const child = Bun.spawn(
    [
      path ?? "chromium",
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--user-data-dir=${profile}`,
      "--remote-debugging-port=0",
      "about:blank",
    ],
    { env: { ...process.env, TMPDIR: profile }, stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  let said = "";
  let address: string | undefined;
  for await (const bytes of child.stderr) {
    said += new TextDecoder().decode(bytes);
    address = /DevTools listening on (\S+)/.exec(said)?.[1];
    if (address !== undefined) break;
  }
  if (address === undefined) throw new Error(`Chromium did not start:\n${said}`);
  const browser = await chromium.connectOverCDP(address);
  return {
    browser,
    async [Symbol.asyncDispose]() {
      await browser.close();
      child.kill("SIGTERM");
      await child.exited;
      while (isInUse(profile)) await Bun.sleep(5); // its own children write on for a moment
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Whether a process was started with this word in its command line. */
function isInUse(word: string): boolean {
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(word);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}
