// Bun's event loop, to wait for what comes by it, or to know that nothing more will.

import { EPOLLIN, socketpair, watch } from "../../src/index.ts";

/** How long a test waits before it fails; never how long it takes. */
const PATIENCE_MS = 20_000;

/** So many turns. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Turns, until it is so. */
export async function until(isSo: () => boolean): Promise<void> {
  for (const patience = performance.now() + PATIENCE_MS; !isSo();) {
    if (performance.now() > patience) throw new Error(`it never came to be: ${isSo}`);
    await turns(1);
  }
}

/** Turns until all that was ready before has been told to its watch: what comes by the same way, and later, has. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    const [ours, peer] = socketpair();
    peer.send("a");
    const told = next<void>();
    const watcher = watch(ours, EPOLLIN, () => told.tell());
    await told.told;
    watcher.close();
    ours.close();
    peer.close();
    await turns(5);
  }
}

/** Something that a callback will tell. */
export function next<T>(): { told: Promise<T>; tell: (what: T) => void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { told: promise, tell: resolve };
}
