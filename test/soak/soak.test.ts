// A short soak, and one with a planted fault, which it must find.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { endPrograms, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const soak = ["bun", join(import.meta.dir, "main.ts"), "--connections", "100", "--minutes", "0.1"];
const check = (output: string, what: string): string | undefined =>
  output.split("\n").find((line) => line.includes(what));

// Six seconds are too short for the slopes; verdict.test.ts tests them.
test("a short soak loses nothing, and wrong bytes are noticed", async () => {
  const [fine, planted] = await Promise.all([run(soak), run([...soak, "--plant", "replies"])]);
  expect(fine.stderr).toBe("");
  for (const what of [
    "replies checked",
    "lost replies",
    "wrong bytes",
    "refused",
    "descriptors without",
    "exit code",
  ]) {
    expect(check(fine.stdout, what)).toStartWith("ok ");
  }
  expect(check(planted.stdout, "wrong bytes")).toStartWith("FAILED");
  expect(check(planted.stdout, "lost replies")).toStartWith("ok ");
  expect(planted.code).toBe(1);
}, 180_000); // the server notices within 10 s that the clients of quiet streams have left
