// The debugger session in the documentation: the same commands print the same output.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { endPrograms, root } from "../support/programs.ts";
import { session, withStableNames } from "../support/step-session.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const SESSION = /\$ bunx epoll-hello --step --numeric\n([^]*?)```/;

/** Returns the session in the first of these files that has one. */
function documentedSession(): string {
  for (const file of ["docs/debugger.md", "README.md"]) {
    const path = join(root, file);
    const [, shown] = (existsSync(path) && SESSION.exec(readFileSync(path, "utf8"))) || [];
    if (shown !== undefined) return shown;
  }
  throw new Error("neither docs/debugger.md nor README.md shows a session of bunx epoll-hello --step --numeric");
}

test("prints the documented session, command by command", async () => {
  const shown = documentedSession();
  const typed = [...shown.matchAll(/^\(epoll\) (.*)$/gm)].map(([, line = ""]) => line);
  expect(typed).toContain("why");
  const comparable = (text: string): string[] =>
    text
      .replace(/^(> .*):\d+$/gm, "$1:LINE")
      .replace(/^listening on .*$/m, "listening")
      .trim()
      .split("\n");
  const { text, code } = await session(typed, "--numeric");
  expect(comparable(text)).toEqual(comparable(withStableNames(shown)));
  expect(code).toBe(0);
});
