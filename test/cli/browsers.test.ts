// curl and Chromium as clients: both receive the default response, also with --classic.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { openFds } from "../support/fds.ts";
import { cli, endPrograms, run, start } from "../support/programs.ts";
import { eventually } from "../support/eventually.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const DEFAULT_BODY = "Hello from Epoll server!";
const modes = [[], ["--classic"]];

for (const flags of modes) {
  test.skipIf(Bun.which("curl") === null)(`curl shows the default response ${flags}`, async () => {
    const program = start(["bun", cli, "--port", "0", ...flags]);
    const [, url = ""] = await program.output(/^listening on (\S+)/m);
    expect(await run(["curl", "--silent", "--show-error", url])).toEqual({ code: 0, stdout: DEFAULT_BODY, stderr: "" });
    const { code, stdout } = await run(["curl", "--silent", "--head", url]);
    expect(stdout).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
    expect(stdout).toContain("\r\nContent-Length: 24\r\n");
    expect(code).toBe(0);
  });
}

for (const flags of modes) {
  test.skipIf(!hasBrowser)(`Chromium shows the default response ${flags}, and leaves no connection open`, async () => {
    const program = start(["bun", cli, "--port", "0", ...flags]);
    const [, url = ""] = await program.output(/^listening on (\S+)/m);
    const before = countSockets(program.pid);
    {
      await using chromium = await openBrowser();
      const page = await chromium.browser.newPage();
      for (let visit = 0; visit < 3; visit++) {
        const response = await page.goto(url);
        expect(response?.status()).toBe(200);
        expect(await page.locator("body").innerText()).toBe(DEFAULT_BODY);
      }
    }
    // The browser closes its spare connections when it exits.
    await eventually(
      () => countSockets(program.pid),
      (count) => count <= before,
    );
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(program.stdout.match(/GET \/ HTTP\/1\.1 {2}200/g)?.length).toBeGreaterThanOrEqual(3);
  });
}

function countSockets(pid: number): number {
  return [...openFds(pid).values()].filter((what) => what.startsWith("socket:")).length;
}
