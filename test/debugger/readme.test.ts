// README's session with the debugger is a real one: typed again, it reads the same.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { endPrograms, root } from "../support/programs.ts";
import { named, session } from "../support/step-session.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test("README's session, command by command", async () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [, shown = ""] = /\$ bunx epoll-hello --step --numeric\n([^]*?)```/.exec(readme) ?? [];
  const typed = [...shown.matchAll(/^\(epoll\) (.*)$/gm)].map(([, line = ""]) => line);
  expect(typed).toContain("why");
  const same = (text: string): string[] =>
    text
      .replace(/loop\.ts:\d+$/gm, "loop.ts:LINE")
      .replace(/^listening on .*$/m, "listening")
      .trim()
      .split("\n");
  const { text, code } = await session(typed, "--numeric");
  expect(same(text)).toEqual(same(named(shown)));
  expect(code).toBe(0);
});
