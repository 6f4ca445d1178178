// Random requests over real sockets: EpollServer accepts, delimits and follows them as node:http and Bun.serve do, but for listed differences.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fuzz, isFuzzRun } from "../support/fuzzing.ts";
import { endPrograms } from "../support/programs.ts";
import { type Difference, differenceOf, type Other, type Outcome, ruleFor } from "./http-differences.ts";
import { requests } from "./http-requests.ts";
import { outcomeOf, type Servers, startServers } from "./http-servers.ts";

setDefaultTimeout(60_000);
if (isFuzzRun) setDefaultTimeout(10_000_000);

const CONCURRENT = 64;
const QUIET_MS = 150;
/** A difference is checked again alone, with more time. */
const LONG_QUIET_MS = 1_000;
const others: readonly Other[] = Bun.which("node") === null ? ["bun"] : ["node", "bun"];

/** Inputs that have shown a difference or a fault, one character per byte. */
const corpus = JSON.parse(readFileSync(join(import.meta.dir, "corpus", "http.json"), "utf8")) as string[];

let servers: Servers;
beforeAll(async () => void (servers = await startServers(others.includes("node"))));
afterAll(() => servers.stop());
afterAll(endPrograms);

interface Finding {
  bytes: string;
  difference: Difference;
  outcomes: Record<string, Outcome>;
}

async function findDifference(bytes: string, cuts: readonly number[], quietMs: number): Promise<Finding | undefined> {
  const [ours, ...theirs] = await Promise.all([
    outcomeOf(servers, "epoll", bytes, cuts, quietMs),
    ...others.map((other) => outcomeOf(servers, other, bytes, [], quietMs)),
  ]);
  for (const [i, other] of others.entries()) {
    const difference = differenceOf(ours, theirs[i] as Outcome, other);
    if (difference === undefined || ruleFor(difference, bytes) !== undefined) continue;
    return { bytes, difference, outcomes: { epoll: ours, [other]: theirs[i] as Outcome } };
  }
  return undefined;
}

const split = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 });

test("EpollServer differs from node:http and Bun.serve only where the list allows it", async () => {
  const property = fc.asyncProperty(
    fc.array(fc.tuple(requests, split), { minLength: 1, maxLength: CONCURRENT, size: "max" }),
    async (batch) => {
      const found = await Promise.all(batch.map(([bytes, cuts]) => findDifference(bytes, cuts, QUIET_MS)));
      for (const [i, finding] of found.entries()) {
        if (finding === undefined) continue;
        const [bytes, cuts] = batch[i] as [string, number[]];
        expect(await findDifference(bytes, cuts, LONG_QUIET_MS)).toBeUndefined();
      }
    },
  );
  await fuzz("http", property, 3, [[corpus.map((bytes): [string, number[]] => [bytes, []])]]);
});
