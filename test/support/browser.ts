// A real browser: headless Chromium, controlled by Playwright over the DevTools protocol.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { eventually } from "./eventually.ts";

const path: string | undefined = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);

export const hasBrowser: boolean = path !== undefined;

/**
 * Starts a browser with a new profile. Disposing of it ends its processes.
 *
 * `chromium.launch` is not used: under Bun, Playwright's pipe to a browser that it started never responds.
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
  let stderr = "";
  let address: string | undefined;
  for await (const bytes of child.stderr) {
    stderr += new TextDecoder().decode(bytes);
    address = /DevTools listening on (\S+)/.exec(stderr)?.[1];
    if (address !== undefined) break;
  }
  if (address === undefined) throw new Error(`Chromium did not start:\n${stderr}`);
  const browser = await chromium.connectOverCDP(address);
  return {
    browser,
    async [Symbol.asyncDispose]() {
      await browser.close();
      child.kill("SIGTERM");
      await child.exited;
      // Chromium's child processes keep writing to the profile for a moment.
      await eventually(
        () => commandLinesWith(profile),
        (left) => left.length === 0,
      );
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Returns the command lines of all processes that contain `text`. */
function commandLinesWith(text: string): string[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const commandLine = readFileSync(`/proc/${name}/cmdline`, "utf8");
      return commandLine.includes(text) ? [commandLine] : [];
    } catch {
      return []; // the process has ended
    }
  });
}
