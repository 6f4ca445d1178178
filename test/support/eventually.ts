// Polling with a time limit, for states that no event or promise signals.

/** The time after which a wait in a test fails. The duration of a passing test does not depend on it. */
export const WAIT_TIMEOUT_MS = 20_000;
const POLL_MS = 5;

/** Calls `read` until its value satisfies the predicate. Throws with the last value when the time limit is reached. */
export async function eventually<T>(read: () => T | Promise<T>, predicate: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + WAIT_TIMEOUT_MS;
  for (;;) {
    const value = await read();
    if (predicate(value)) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting for a state; last value: ${Bun.inspect(value)}`);
    await Bun.sleep(POLL_MS);
  }
}
