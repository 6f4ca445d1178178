// Samples: what is left out is counted, what is shown has no gap, and no warning is lost.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { SampledFeed } from "../../src/tools/debugger/event-feed.ts";
import { merged, MAX_ENTRIES, MAX_EVENTS, type Sample, Sampler } from "../../src/tools/debugger/sampler.ts";
import type { TraceEvent } from "../../src/trace/events.ts";

setDefaultTimeout(60_000);

function events(count: number, from = 1): TraceEvent[] {
  return Array.from({ length: count }, (_, i) => ({
    seq: from + i,
    us: from + i,
    iteration: 1,
    type: "recv",
    fd: 5,
    wanted: 10,
    result: 2,
  }));
}

/** As a page counts them. */
function checkWhole(samples: readonly Sample[], total: number): void {
  let next = 1;
  for (const { events, omitted } of samples) {
    next += omitted;
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => next + i));
    expect(events.length).toBeLessThanOrEqual(MAX_EVENTS);
    next += events.length;
  }
  expect(next).toBe(total + 1);
}

test("however many come between two looks: shown and left out are all", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2_000), { maxLength: 12 }), (portions) => {
      const sampler = new Sampler();
      let total = 0;
      const samples = portions.map((count) => {
        for (const event of events(count, total + 1)) sampler.see(event);
        total += count;
        return sampler.take();
      });
      checkWhole(samples, total);
      expect(sampler.counts.bytesIn).toBe(2 * total);
    }),
  );
});

test("two as one: still nothing is uncounted", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(900), { minLength: 2, maxLength: 12 }), fc.nat(5), (portions, every) => {
      const sampler = new Sampler();
      let total = 0;
      let waiting: Sample | undefined;
      const told: Sample[] = [];
      for (const [i, count] of portions.entries()) {
        for (const event of events(count, total + 1)) sampler.see(event);
        total += count;
        const sample = sampler.take();
        waiting = waiting === undefined ? sample : merged(waiting, sample);
        if (i % (every + 1) !== 0) continue;
        told.push(waiting);
        waiting = undefined;
      }
      checkWhole(waiting === undefined ? told : [...told, waiting], total);
    }),
  );
});

test("a warning is there, though the event itself was left out", () => {
  const sampler = new Sampler();
  sampler.see({ seq: 1, us: 1, iteration: 1, type: "warning", code: "busy-loop", fd: 7, message: "it spins" });
  for (const event of events(5_000, 2)) sampler.see(event);
  const sample = sampler.take();
  expect(sample.omitted).toBeGreaterThan(4_000);
  expect(sample.warnings).toMatchObject([{ code: "busy-loop", fd: 7 }]);
  expect(sampler.take().warnings).toEqual([]);
});

test("of very many descriptors those that something happened to are there", () => {
  const sampler = new Sampler();
  for (let fd = 10; fd < 10_010; fd++) {
    sampler.see({ seq: fd, us: fd, iteration: 1, type: "accept", fd: 4, result: fd, peer: null });
  }
  sampler.take();
  sampler.see({ seq: 1, us: 1, iteration: 2, type: "recv", fd: 9_999, wanted: 10, result: 2 });
  const { entries, open } = sampler.take();
  expect(open).toBe(10_000);
  expect(entries).toHaveLength(MAX_ENTRIES);
  expect(entries.find(({ fd }) => fd === 9_999)).toMatchObject({ bytesIn: 2 });
});

test("a calm loop is told of iteration by iteration, a busy one now and then", () => {
  const told: Sample[] = [];
  const feed = new SampledFeed((sample) => told.push(sample));
  feed.isWatched = true;
  let seq = 0;
  const iteration = (): void => {
    for (const event of events(20, seq + 1)) feed.see(event);
    seq += 21;
    feed.see({ seq, us: seq, iteration: 1, type: "iteration", workedUs: 1, dispatches: [] });
  };
  iteration();
  iteration();
  expect(told).toHaveLength(2);
  for (let i = 0; i < 10_000; i++) iteration();
  expect(told.length).toBeLessThan(200);
  expect(feed.isHolding).toBe(true);
  feed.tell();
  checkWhole(told, seq);
});
