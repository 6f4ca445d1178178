// Property test: random operations on socket pairs have the same errors and events as a model of epoll.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  EPOLLRDNORM,
  EPOLLWRNORM,
} from "../../../src/kernel/constants.ts";
import { ErrnoError } from "../../../src/kernel/errors.ts";
import { EventList } from "../../../src/io/event-list.ts";
import { everyFdIsClosed, interestOf } from "../../support/descriptors.ts";
import { FIRST_FD, Model, type Outcome, Real, type Registration } from "../../support/epoll-model.ts";

setDefaultTimeout(60_000);
everyFdIsClosed();

const PAIRS = 3;

interface Step {
  act: "register" | "modify" | "unregister" | "send" | "recv" | "shutdown" | "close" | "open";
  slot: number;
  mask: number;
  /** A token, or a number of bytes. */
  n: number;
}

/** Applies a step to the model or to the real sockets. */
function apply(step: Step, { on, isOpen }: { on: Model | Real; isOpen: (slot: number) => boolean }): Outcome {
  const { act, slot, mask, n } = step;
  if (act === "register" || act === "modify") return on[act](slot, mask, n);
  if (act === "unregister") return on.unregister(slot);
  const pair = slot >> 1;
  if (act === "open") return isOpen(2 * pair) || isOpen(2 * pair + 1) ? "not applicable" : on.open(pair);
  if (!isOpen(slot)) return "not applicable";
  return act === "send" || act === "recv" ? on[act](slot, n) : on[act](slot);
}

/** Returns the result of a call, or the code of its ErrnoError. */
function outcome(call: () => Outcome): Outcome {
  try {
    return call();
  } catch (error) {
    if (error instanceof ErrnoError) return error.code;
    throw error;
  }
}

const masks = [EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP, EPOLLRDNORM, EPOLLWRNORM, EPOLLERR, EPOLLHUP, EPOLLONESHOT];
const act = fc.constantFrom<Step["act"][]>(
  ...(["register", "register", "modify", "unregister", "send", "send", "recv", "shutdown", "close", "open"] as const),
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    act,
    slot: fc.nat({ max: 2 * PAIRS - 1 }),
    mask: fc.subarray(masks).map((bits) => bits.reduce((mask, bit) => mask | bit, 0)),
    n: fc.integer({ min: 1, max: 9 }),
  }),
  { minLength: 1, maxLength: 60, size: "max" },
);

test("errors and events match the model for any sequence of operations", () => {
  let seen = 0;
  const property = fc.property(steps, fc.integer({ min: 1, max: 2 * PAIRS }), (steps, capacity) => {
    const model = new Model();
    using real = new Real();
    const events = new EventList(capacity);
    for (let pair = 0; pair < PAIRS; pair++) for (const on of [model, real]) on.open(pair);

    for (const step of steps) {
      const opened = model.ends.map((end) => end !== undefined);
      const isOpen = (slot: number): boolean => opened[slot] as boolean;
      const expected = apply(step, { on: model, isOpen });
      expect([step, outcome(() => apply(step, { on: real, isOpen }))]).toEqual([step, expected]);

      const ready = model.ready();
      const n = real.epoll.pollInto(events, 0);
      expect(n).toBe(Math.min(ready.size, capacity));
      for (let i = 0; i < n; i++) {
        const slot = events.fd(i) - FIRST_FD;
        expect({ slot, mask: events.mask(i), token: events.token(i) }).toEqual({
          slot,
          ...(ready.get(slot) as Registration),
        });
        ready.delete(slot); // no fd is reported twice
        model.report(slot);
      }
      seen += n;
    }

    const kept = interestOf(real.epoll).map(({ fd }) => fd - FIRST_FD);
    expect(kept.sort()).toEqual([...model.interest.keys()].sort());
  });
  fc.assert(property, { numRuns: 300 });
  expect(seen).toBeGreaterThan(1000);
});
