// Errors of `socket` handlers: a throw and a rejection take the same path, in every handler and in every way to run the server.

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Failure, Handler, Outcome, Scenario } from "../support/failing-handlers.ts";

setDefaultTimeout(60_000);

const handlers: readonly Handler[] = ["open", "data", "drain", "end", "close"];
const failures: readonly Failure[] = ["throws", "rejects", "rejects later"];

/** Plays the scenarios in another process, where uncaught errors can be observed. */
async function play(scenarios: readonly Scenario[]): Promise<Outcome[]> {
  const program = join(import.meta.dir, "../support/failing-handlers.ts");
  const child = Bun.spawn([process.execPath, program, JSON.stringify(scenarios)], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ stderr, exitCode: await child.exited }).toEqual({ stderr: "", exitCode: 0 });
  return JSON.parse(stdout) as Outcome[];
}

for (const mode of ["run", "tick", "start"] as const) {
  for (const failure of failures) {
    test(`a handler that ${failure}: the error handler gets the error next, and the connection stays open; ${mode}`, async () => {
      const outcomes = await play(handlers.map((failing) => ({ mode, failing, failure, errorHandler: "returns" })));
      for (const [i, { calls, open }] of outcomes.entries()) {
        const failing = handlers[i] as Handler;
        expect(calls.filter((call) => !call.startsWith("error"))).toEqual([...handlers]);
        const errors = calls.filter((call) => call.startsWith("error"));
        expect(errors).toEqual([`error: from ${failing}`]);
        const distance = calls.indexOf(errors[0] as string) - calls.indexOf(failing);
        if (failure === "rejects later") expect(distance).toBeGreaterThan(0);
        else expect(distance).toBe(1);
        expect(open).toBe(0);
      }
    });

    for (const errorHandler of ["missing", "throws", "rejects", "rejects later"] as const) {
      test(`a handler that ${failure}, error handler: ${errorHandler}: the error is uncaught, once; ${mode}`, async () => {
        const outcomes = await play(handlers.map((failing) => ({ mode, failing, failure, errorHandler })));
        for (const [i, { calls, open, serves }] of outcomes.entries()) {
          const failing = handlers[i] as Handler;
          const message = errorHandler === "missing" ? `from ${failing}` : "from error";
          const handled = errorHandler === "missing" ? [] : [`error: from ${failing}`];
          expect(calls.filter((call) => call.includes(":"))).toEqual([...handled, `uncaught: ${message}`]);
          expect(calls.filter((call) => call === "close")).toHaveLength(1);
          const isImmediate = failure !== "rejects later" && errorHandler !== "rejects later";
          const closing = failing === "close" ? [] : ["close"];
          if (isImmediate) {
            const before = handlers.slice(0, i + 1);
            expect(calls).toEqual([...before, ...handled, ...closing, `uncaught: ${message}`]);
          }
          expect([open, serves]).toEqual([0, mode !== "run"]); // run() ends, as with a throw
        }
      });
    }
  }
}
