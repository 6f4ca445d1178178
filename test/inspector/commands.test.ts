// Random sequences of commands and pages, after which the server still responds and closes every fd.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { type PageCommand, TEST_CLIENT_KINDS } from "../../src/tools/inspector/messages.ts";
import { eventually } from "../support/eventually.ts";
import { openFds } from "../support/fds.ts";
import { scaled } from "../support/scale.ts";
import { inspected, messages } from "../support/inspected.ts";

setDefaultTimeout(60_000);

const RUNS = Number(process.env["RUNS"] ?? scaled(10, 25));

type Action = PageCommand | { kind: "open a page" | "close a page" | "wait a moment" };

const mode = fc.oneof(
  fc.constantFrom({ kind: "continue" } as const, { kind: "step" } as const, { kind: "next" } as const),
  fc.record({ kind: fc.constant("return" as const), fd: fc.nat(40) }),
  fc.record({ kind: fc.constant("until" as const), iteration: fc.nat(100) }),
);
const breakpoint = fc.oneof(
  fc.record({ on: fc.constant("event" as const), value: fc.constantFrom("accept", "recv", "close", "wait") }),
  fc.record({ on: fc.constant("fd" as const), value: fc.nat(40) }),
  fc.record({ on: fc.constant("state" as const), value: fc.constantFrom("sending", "idle") }),
  fc.record({ on: fc.constant("errno" as const), value: fc.constant(11) }),
);
const kind = <K extends Action["kind"]>(name: K): fc.Arbitrary<K> => fc.constant(name);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: kind("resume"), mode }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("pause") }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("set-speed"), perSecond: fc.constantFrom(0, 1, 100) }) },
  { weight: 1, arbitrary: breakpoint.map((one): Action => ({ kind: "add-breakpoint", ...one })) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: kind("remove-breakpoint"), id: fc.integer({ min: 10_000, max: 10_003 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: kind("start-client"), client: fc.constantFrom(...TEST_CLIENT_KINDS) }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("close-client"), id: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("open a page", "close a page", "wait a moment") }) },
);

async function perform(actions: readonly Action[], isClassic: boolean, endsPausing: boolean): Promise<void> {
  const pages: AbortController[] = [];
  {
    await using it = await inspected(isClassic ? { keepAlive: false, eager: false } : {});
    for (const one of actions) {
      switch (one.kind) {
        case "open a page": {
          const page = new AbortController();
          pages.push(page);
          await messages(it.page.viewUrl, page.signal).next();
          break;
        }
        case "close a page":
          pages.pop()?.abort();
          break;
        case "wait a moment":
          await Bun.sleep(3); // lets the sequence diverge in time, not waiting for anything
          break;
        default:
          expect((await it.send(one)).status).toBeOneOf([204, 400, 409]);
      }
    }
    for (const { id } of it.view.state.breakpoints) await it.send({ kind: "remove-breakpoint", id });
    // Wherever the loop is paused, it serves the request after `continue`.
    let status = 0;
    const request = async (): Promise<void> => {
      const response = await fetch(it.url);
      await response.text();
      status = response.status;
    };
    const responded = request();
    await eventually(
      async () => {
        await it.send({ kind: "resume", mode: { kind: "continue" } });
        return status;
      },
      (now) => now !== 0,
    );
    await responded;
    expect(status).toBe(200);
    if (endsPausing) await it.send({ kind: "pause" });
  }
  for (const page of pages) page.abort();
}

test("after any sequence of commands, the server responds, and then closes every fd", async () => {
  await perform([], true, false); // Bun opens some fds once
  const before = openFds().size;
  await fc.assert(fc.asyncProperty(fc.array(action, { maxLength: 25 }), fc.boolean(), fc.boolean(), perform), {
    numRuns: RUNS,
    endOnFailure: true,
  });
  await eventually(
    () => openFds().size,
    (size) => size <= before,
  );
});
