// The real server on the simulated kernel: whatever clients and the kernel do, each reply is right, and nothing leaks or spins.

import { expect, setDefaultTimeout, test } from "bun:test";
import { scaled } from "../support/scale.ts";
import { simulate } from "./run-simulation.ts";

setDefaultTimeout(60_000);

/** For the full length on a busy machine. */
const TIMEOUT_MS = 600_000;

/** Fixed, so that a change of the server is what makes this fail. `npm run sim` begins somewhere else each time. */
const FIRST_SEED = 1;

test(
  "random clients on a random kernel get the replies that are due to them, in time",
  async () => {
    const totals = await simulate(scaled(50_000, 1_000_000), FIRST_SEED);
    expect(totals.replies).toBeGreaterThan(scaled(500, 10_000));
    expect(totals.faults).toBeGreaterThan(scaled(500, 10_000));
    for (const reason of [
      "last reply",
      "idle timeout",
      "header timeout",
      "write timeout",
      "reset by the peer",
      "stopped",
    ]) {
      expect([reason, (totals.endedBy.get(reason) ?? 0) > 0]).toEqual([reason, true]);
    }
  },
  TIMEOUT_MS,
);
