// Any orders in any order, with pages that come and go: the server can always be had to go on, and to end with all it opened.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { TEST_CLIENT_KINDS } from "../../src/tools/inspector/messages.ts";
import { openFds } from "../support/fds.ts";
import { inspected, messages } from "../support/inspected.ts";

setDefaultTimeout(60_000);

const RUNS = Number(process.env["RUNS"] ?? 25);

const mode = fc.oneof(
  fc.constantFrom({ kind: "continue" }, { kind: "step" }, { kind: "next" }),
  fc.record({ kind: fc.constant("return"), fd: fc.nat(40) }),
  fc.record({ kind: fc.constant("until"), iteration: fc.nat(100) }),
);
const place = fc.oneof(
  fc.record({ on: fc.constant("event"), value: fc.constantFrom("accept", "recv", "close", "wait") }),
  fc.record({ on: fc.constant("fd"), value: fc.nat(40) }),
  fc.record({ on: fc.constant("state"), value: fc.constantFrom("sending", "idle") }),
  fc.record({ on: fc.constant("errno"), value: fc.constant(11) }),
);
const act = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("go"), mode }) },
  { weight: 2, arbitrary: fc.constant({ kind: "pause" }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("speed"), perSecond: fc.constantFrom(0, 1, 100) }) },
  { weight: 1, arbitrary: place.map((at) => ({ kind: "break", ...at })) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear"), id: fc.integer({ min: 10_000, max: 10_003 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("try"), try: fc.constantFrom(...TEST_CLIENT_KINDS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("end-try"), id: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: "open a page" }, { kind: "leave a page" }, { kind: "a moment" }) },
);

async function play(acts: readonly { kind: string }[], isClassic: boolean, endsPausing: boolean): Promise<void> {
  const pages: AbortController[] = [];
  {
    await using it = await inspected(isClassic ? { keepAlive: false, eager: false } : {});
    for (const one of acts) {
      if (one.kind === "open a page") {
        const page = new AbortController();
        pages.push(page);
        await messages(it.page.url, page.signal).next();
      } else if (one.kind === "leave a page") {
        pages.pop()?.abort();
      } else if (one.kind === "a moment") {
        await Bun.sleep(3);
      } else {
        expect((await it.order(one)).status).toBeOneOf([204, 400, 409]);
      }
    }
    for (const { id } of it.inspector.state.breakpoints) await it.order({ kind: "clear", id });
    // Wherever it stands: told to go on, it answers.
    const reply = fetch(it.url);
    let isAnswered = false;
    void reply.then(() => (isAnswered = true));
    while (!isAnswered) {
      await it.order({ kind: "go", mode: { kind: "continue" } });
      await Bun.sleep(1);
    }
    expect((await reply).status).toBe(200);
    await (await reply).text();
    if (endsPausing) await it.order({ kind: "pause" });
  }
  for (const page of pages) page.abort();
}

test("it goes on, and ends", async () => {
  await play([], true, false); // what Bun itself opens once
  const before = openFds().size;
  await fc.assert(fc.asyncProperty(fc.array(act, { maxLength: 25 }), fc.boolean(), fc.boolean(), play), {
    numRuns: RUNS,
    endOnFailure: true,
  });
  while (openFds().size > before) await Bun.sleep(5);
});
