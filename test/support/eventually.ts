// A bounded wait for a state, for what nothing can be awaited on.

/** The bound of a wait in a test; how long a passing test takes does not depend on it. */
export const PATIENCE_MS = 20_000;
const POLL_MS = 5;

/** Polls `read` until the value satisfies the predicate. Fails with the last value when the time is up. */
export async function eventually<T>(read: () => T | Promise<T>, predicate: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (predicate(value)) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting for a state; last value: ${Bun.inspect(value)}`);
    await Bun.sleep(POLL_MS);
  }
}
