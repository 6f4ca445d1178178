// Runs Bun's event loop in tests: until a condition holds, or until all pending events have been delivered.

import { EPOLLIN, socketpair, watch } from "../../src/index.ts";
import { WAIT_TIMEOUT_MS } from "./eventually.ts";

/** Runs the given number of iterations of Bun's event loop. */
export async function runIterations(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Runs iterations until the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (const deadline = performance.now() + WAIT_TIMEOUT_MS; !condition();) {
    if (performance.now() > deadline) throw new Error(`the condition did not become true: ${condition}`);
    await runIterations(1);
  }
}

/** Runs iterations until all pending events have been delivered: a later event of another watch is delivered last. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const [ours, peer] = socketpair();
    peer.send("a");
    const delivered = Promise.withResolvers<void>();
    const watcher = watch(ours, EPOLLIN, () => delivered.resolve());
    await delivered.promise;
    watcher.close();
    ours.close();
    peer.close();
    await runIterations(5);
  }
}
