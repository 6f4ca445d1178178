// Debugging a program that has used up all file descriptors: the prompt and the page still tell the truth about the kernel.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KernelResponse, SourceResponse } from "../../src/tools/inspector/messages.ts";
import { getWithToken, untilRun } from "../support/inspected.ts";
import { cli, endPrograms, root, run, start } from "../support/programs.ts";

setDefaultTimeout(60_000);

let folder = "";
let program = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "epoll-hello-"));
  program = join(folder, "full.ts");
  writeFileSync(
    program,
    `import { Epoll, EPOLLIN, EventFd } from ${JSON.stringify(join(root, "src", "index.ts"))};
const epoll = new Epoll();
const fds = [new EventFd(1)];
epoll.register(fds[0], EPOLLIN);
try { for (;;) fds.push(new EventFd()); } catch (error) { console.log(error.code); }
epoll.poll();
epoll.modify(fds[0], 0);
for (;;) epoll.poll();
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(endPrograms);

/** Lets the program use few file descriptors. The debugger itself needs some 30. */
const LIMITED = 'ulimit -n 100; exec "$0" "$@"';

test("the prompt compares the lists, explains an fd, and shows source lines", async () => {
  const script = `printf 'n\\ndiff\\nwhy\\nl\\nq\\n' | (${LIMITED})`;
  const { stdout, stderr } = await run(["sh", "-c", script, process.execPath, cli, program, "--step"]);
  expect(stderr).toBe("");
  expect(stdout).toContain("EMFILE\n");
  expect(stdout).toContain("-> epoll.poll();\n");
  expect(stdout).toContain("no differences: 1 fd is registered, and the kernel's interest list is the same\n");
  expect(stdout).toMatch(/fd \d+ is anon_inode:\[eventfd\]\. It is readable .* epoll_wait\(\d+\) reports EPOLLIN\.\n/);
  expect(stdout).toMatch(/^ +6 -> epoll\.poll\(\);$/m);
  expect(stdout).not.toMatch(/closed|\*\*\*/);
});

test("the page can still be opened, shows the interest list and source lines, and pauses a program that waits", async () => {
  const inspected = start(["sh", "-c", LIMITED, process.execPath, cli, program, "--inspect"]);
  const [, url = ""] = await inspected.output(/control it at (http:\S+)/);
  await inspected.output(/EMFILE/);
  const abort = new AbortController();
  const [page, events] = await Promise.all([
    getWithToken(url, ""),
    getWithToken(url, "events", { signal: abort.signal }), // the fds are sent only while a page is open
  ]);
  expect([page.status, events.status]).toEqual([200, 200]);
  for (let instances: KernelResponse["instances"] = []; instances.length === 0;) {
    ({ instances } = (await (await getWithToken(url, "kernel")).json()) as KernelResponse);
    if (instances.length > 0) expect(instances).toMatchObject([{ interest: 1, ready: 0, entries: [{ ready: 0 }] }]);
  }
  const source = await getWithToken(url, `source?at=${encodeURIComponent(`${program}:6`)}`);
  expect(((await source.json()) as SourceResponse).lines).toContain("epoll.poll();");
  await getWithToken(url, "commands", { method: "POST", body: JSON.stringify({ kind: "pause" }) });
  await untilRun(url, "paused");
  abort.abort();
});
