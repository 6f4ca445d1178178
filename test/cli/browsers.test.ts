// What people look with: curl and a real browser show the document's sentence, in the document's own loop too.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { hasBrowser, openBrowser } from "../support/browser.ts";
import { openFds } from "../support/fds.ts";
import { cli, run, start, endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const SENTENCE = "Hello from Epoll server!";
const modes = [[], ["--classic"]];

for (const flags of modes) {
  test.skipIf(Bun.which("curl") === null)(`curl shows the sentence ${flags}`, async () => {
    const program = start(["bun", cli, "--port", "0", ...flags]);
    const [, url = ""] = await program.output(/^listening on (\S+)/m);
    expect(await run(["curl", "--silent", "--show-error", url])).toEqual({ code: 0, stdout: SENTENCE, stderr: "" });
    const { code, stdout } = await run(["curl", "--silent", "--head", url]);
    expect(stdout).toMatch(/^HTTP\/1\.1 200 OK\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
    expect(stdout).toContain("\r\nContent-Length: 24\r\n");
    expect(code).toBe(0);
  });
}

for (const flags of modes) {
  test.skipIf(!hasBrowser)(`Chromium shows the sentence ${flags}, and leaves nothing open`, async () => {
    const program = start(["bun", cli, "--port", "0", ...flags]);
    const [, url = ""] = await program.output(/^listening on (\S+)/m);
    const before = sockets(program.pid);
    {
      await using chromium = await openBrowser();
      const page = await chromium.browser.newPage();
      for (let visit = 0; visit < 3; visit++) {
        const response = await page.goto(url);
        expect(response?.status()).toBe(200);
        expect(await page.locator("body").innerText()).toBe(SENTENCE);
      }
    }
    while (sockets(program.pid) > before) await Bun.sleep(5); // its spare connections end with it
    program.kill("SIGTERM");
    expect(await program.exited).toBe(0);
    expect(program.stdout.match(/GET \/ HTTP\/1\.1 {2}200/g)?.length).toBeGreaterThanOrEqual(3);
  });
}

function sockets(pid: number): number {
  return [...openFds(pid).values()].filter((what) => what.startsWith("socket:")).length;
}
