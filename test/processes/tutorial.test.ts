// The walk of the tutorial on the tutorial's own Python program, which knows nothing of this package: in the terminal and on the page.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { endPrograms } from "../support/programs.ts";
import { typedInto } from "../support/step-session.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const hasPython = Bun.which("python3") !== null;

test.skipIf(!hasPython)("the terminal shows the event lists of the tutorial, with its own fds", async () => {
  const { lines, code } = await typedInto(
    ["n", "connect", "n", "s", "n", "send c1", "n", "why", "n", "n", "n", "diff", "q"],
    ["--step", "--numeric", "--", "python3", "examples/tutorial.py", "--port", "0"],
  );
  const waits = lines.filter((line) => line.includes("epoll_wait(4")).map((line) => line.replace(/ ?\+.*|^#\d+ /g, ""));
  expect(waits).toEqual([]);
  expect(code).toBe(0);
});
