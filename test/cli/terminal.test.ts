// A server at a terminal: Ctrl-C and SIGTERM stop it in the same way as without one.

import { expect, setDefaultTimeout, test } from "bun:test";
import { Terminal } from "../support/terminal.ts";

setDefaultTimeout(60_000);

for (const [how, code] of [
  ["Ctrl-C", 130],
  ["SIGTERM", 0],
] as const) {
  for (const flags of [[], ["--classic"], ["--trace"]]) {
    test(`${how} stops epoll-hello ${flags.join(" ")} gracefully: totals, exit code ${code}`, async () => {
      await using terminal = new Terminal("--port", "0", ...flags);
      await terminal.until(/listening on .*Ctrl-C/);
      if (how === "Ctrl-C") terminal.type("\x03");
      else process.kill(terminal.pid, "SIGTERM");
      await terminal.until(/served 0 requests/);
      expect(await terminal.exit()).toBe(code);
    });
  }
}
