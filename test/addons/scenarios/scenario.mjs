// What every scenario needs: checks, a deadline, and one line of JSON at the end.

import { readdirSync } from "node:fs";

/**
 * Runs a scenario and prints `{"scenario", "ok", "checks", "error", "milliseconds"}` as one line of JSON when the process ends.
 * The process must end by itself: once `deadline` ms have passed, it ends with an error and exit code 1.
 */
export function scenario(name, body, deadline = 30_000) {
  const start = performance.now();
  const checks = {};
  let error = "the process ended before the scenario did";
  let state = "the scenario isn't over";
  const finish = () =>
    console.log(
      JSON.stringify({
        scenario: name,
        ok: error === undefined,
        checks,
        error,
        milliseconds: Math.round(performance.now() - start),
      }),
    );
  process.exitCode = 1;
  process.once("exit", (code) => {
    if (error === undefined && code !== 0) error = `exit code ${code}`;
    finish();
  });
  setTimeout(() => {
    error = `${state} after ${deadline} ms`;
    process.exit(1);
  }, deadline).unref();
  // Keeps the process while the scenario runs only if the scenario itself does so.
  const settle = async () => {
    try {
      await body(tools);
    } catch (reason) {
      error = String(reason?.stack ?? reason);
      // What a failed scenario left open would keep the process.
      process.exit(1);
    }
    error = undefined;
    state = "the scenario is over, but the process doesn't end";
    process.exitCode = 0;
  };
  const tools = {
    /** Records a value, and fails unless it equals `expected`. */
    equal(what, actual, expected) {
      checks[what] = actual;
      if (JSON.stringify(actual) !== JSON.stringify(expected))
        throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
    },
    /** Records a value, and fails if `isTrue` is false. */
    that(what, isTrue, value = isTrue) {
      checks[what] = value;
      if (!isTrue) throw new Error(`${what}: ${JSON.stringify(value)}`);
    },
  };
  void settle();
}

/** Returns how many file descriptors the process has open. */
export function openDescriptors() {
  return readdirSync("/proc/self/fd").length;
}

/** Waits until `isReached` returns true. The scenario's deadline bounds it. */
export async function until(isReached) {
  while (!isReached()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Resolves with the arguments of an emitter's next event. */
export function event(emitter, name) {
  return new Promise((resolve) => emitter.once(name, (...values) => resolve(values)));
}
