// Real addons from npm, end to end: serial ports, message queues, streams over UDP and file locks.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { libuvModule, unavailable } from "../support/native-addon.ts";
import { endPrograms, root, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

interface Result {
  ok: boolean;
  checks: object;
}

/** The addons that are development dependencies. `npm run test:addons` runs more, and their own tests. */
const addons = ["fs-native-extensions", "serialport", "udx-native", "zeromq"];

describe.skipIf(unavailable !== "")(`real addons ${unavailable}`, () => {
  for (const addon of addons) {
    test.skipIf(addon === "serialport" && Bun.which("python3") === null)(addon, async () => {
      const program = join(root, "test", "addons", "scenarios", `${addon}.mjs`);
      const { code, stdout, stderr } = await run([process.execPath, "--preload", libuvModule, program]);
      expect(stderr).toBe("");
      const result = JSON.parse(stdout) as Result;
      expect(result).toEqual({ ...result, ok: true });
      expect(code).toBe(0);
    });
  }
});
