// The walk of the tutorial on the tutorial's own Python program, which knows nothing of this package, in the terminal.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { cli, endPrograms, run } from "../support/programs.ts";
import { python } from "../support/python.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const command: string[] = [python ?? "python3", "examples/tutorial.py", "--port", "0"];
const needsPython = test.skipIf(python === undefined);

/** Runs the debugger with these commands as input. */
async function typed(commands: string[], args: string[]): Promise<{ text: string; code: number }> {
  const script = `printf '%s\\n' ${commands.map((line) => `'${line}'`).join(" ")} | "$0" "$@"`;
  const { stdout, stderr, code } = await run(["sh", "-c", script, process.execPath, cli, ...args]);
  expect(stderr).toBe("");
  return { text: stdout, code };
}

/** The event lists of the tutorial: no client; a connection; nothing was sent; a request; the reply can be sent; it is closed; no client. */
const LISTS = ["[]", "[(3, 1)]", "[]", "[(5, 1)]", "[(5, 4)]", "[(5, 16)]", "[]"];

needsPython("the terminal shows the event lists of the tutorial, with its own fds", async () => {
  const { text, code } = await typed(
    ["n", "connect", "n", "s", "n", "send c1", "n", "why", "diff", "n", "n", "n", "p fds[3].kind", "locals", "q"],
    ["--step", "--numeric", "--", ...command],
  );
  const waits = [...text.matchAll(/epoll_wait\(4, 1000\) = (\[.*\])/g)].map(([, list]) => list);
  expect(waits).toEqual(LISTS);
  expect(text).toContain("accept4(3) = 5 ");
  expect(text).toContain("It is registered with epoll fd 4 for EPOLLIN, so epoll_wait(4) reports EPOLLIN.");
  expect(text).toContain("no differences: 2 fds are registered, and the kernel's interest list is the same");
  expect(text).toContain('"listener"');
  expect(text).toContain("Variables of another process cannot be read");
  expect(code).toBe(0);
});
