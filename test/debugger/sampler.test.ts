// Samples: omitted events are counted, the others have no gaps, and no warning is lost.

import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { SampledFeed } from "../../src/tools/debugger/event-feed.ts";
import { TIMINGS_BYTES } from "../../src/tools/debugger/loop-timings.ts";
import { mergeSamples, MAX_ENTRIES, MAX_EVENTS, type Sample, Sampler } from "../../src/tools/debugger/sampler.ts";
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

/** Checks that every event is in a sample or counted as omitted, as the inspector counts them. */
function checkComplete(samples: readonly Sample[], total: number): void {
  let next = 1;
  for (const { events, omitted } of samples) {
    next += omitted;
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => next + i));
    expect(events.length).toBeLessThanOrEqual(MAX_EVENTS);
    next += events.length;
  }
  expect(next).toBe(total + 1);
}

test("counts every event, either in the sample or as omitted", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2_000), { maxLength: 12 }), (portions) => {
      const sampler = new Sampler();
      let total = 0;
      const samples = portions.map((count) => {
        for (const event of events(count, total + 1)) sampler.observe(event);
        total += count;
        return sampler.take();
      });
      checkComplete(samples, total);
      expect(sampler.counts.bytesIn).toBe(2 * total);
    }),
  );
});

test("counts every event when samples are merged", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(900), { minLength: 2, maxLength: 12 }), fc.nat(5), (portions, every) => {
      const sampler = new Sampler();
      let total = 0;
      let unsent: Sample | undefined;
      const sent: Sample[] = [];
      for (const [i, count] of portions.entries()) {
        for (const event of events(count, total + 1)) sampler.observe(event);
        total += count;
        const sample = sampler.take();
        unsent = unsent === undefined ? sample : mergeSamples(unsent, sample);
        if (i % (every + 1) !== 0) continue;
        sent.push(unsent);
        unsent = undefined;
      }
      checkComplete(unsent === undefined ? sent : [...sent, unsent], total);
    }),
  );
});

test("includes a warning even if its event is omitted", () => {
  const sampler = new Sampler();
  sampler.observe({ seq: 1, us: 1, iteration: 1, type: "warning", code: "busy-loop", fd: 7, message: "busy loop" });
  for (const event of events(5_000, 2)) sampler.observe(event);
  const sample = sampler.take();
  expect(sample.omitted).toBeGreaterThan(4_000);
  expect(sample.warnings).toMatchObject([{ code: "busy-loop", fd: 7 }]);
  expect(sampler.take().warnings).toEqual([]);
});

test("keeps the newest warnings, and counts the others, also when samples are merged", () => {
  const sampler = new Sampler();
  const warn = (from: number, count: number): void => {
    for (let seq = from; seq < from + count; seq++) {
      sampler.observe({ seq, us: seq, iteration: 1, type: "warning", code: "fd-leak", fd: seq, message: "leak" });
    }
  };
  warn(1, 74);
  const first = sampler.take();
  expect(first.warnings.map(({ fd }) => fd)).toEqual(Array.from({ length: 50 }, (_, i) => 25 + i));
  expect(first.omittedWarnings).toBe(24);
  warn(75, 30);
  const merged = mergeSamples(first, sampler.take());
  expect(merged.warnings.at(-1)?.fd).toBe(104);
  expect(merged.warnings.length + merged.omittedWarnings).toBe(104);
  expect(sampler.take().omittedWarnings).toBe(0);
});

test("includes the fds of the sample's events when there are too many fds", () => {
  const sampler = new Sampler();
  for (let fd = 10; fd < 10_010; fd++) {
    sampler.observe({ seq: fd, us: fd, iteration: 1, type: "accept", fd: 4, result: fd, peer: null });
  }
  sampler.take();
  sampler.observe({ seq: 1, us: 1, iteration: 2, type: "recv", fd: 9_999, wanted: 10, result: 2 });
  const { entries, open } = sampler.take();
  expect(open).toBe(10_000);
  expect(entries).toHaveLength(MAX_ENTRIES);
  expect(entries.find(({ fd }) => fd === 9_999)).toMatchObject({ bytesIn: 2 });
});

test("counts accepted connections, but not accept calls that failed", () => {
  const sampler = new Sampler();
  sampler.observe({ seq: 1, us: 1, iteration: 1, type: "accept", fd: 4, result: 5, peer: null });
  sampler.observe({ seq: 2, us: 2, iteration: 1, type: "accept", fd: 4, result: -11, peer: null });
  expect(sampler.take().counts).toMatchObject({ accepted: 1, events: { accept: 2 } });
});

test("sends every iteration of a calm loop, and a few samples of a busy one", () => {
  const sent: Sample[] = [];
  const feed = new SampledFeed((sample) => sent.push(sample), new SharedArrayBuffer(TIMINGS_BYTES));
  feed.isWatched = true;
  expect(sent.splice(0)).toMatchObject([{ events: [], fds: { isComplete: true } }]);
  let seq = 0;
  const iteration = (): void => {
    for (const event of events(20, seq + 1)) feed.add(event);
    seq += 21;
    feed.add({ seq, us: seq, iteration: 1, type: "iteration", workedUs: 1, dispatches: [] });
  };
  iteration();
  iteration();
  expect(sent).toHaveLength(2);
  for (let i = 0; i < 10_000; i++) iteration();
  expect(sent.length).toBeLessThan(200);
  expect(feed.isHolding).toBe(true);
  feed.flush();
  checkComplete(sent, seq);
});
