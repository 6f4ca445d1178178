// The verdict of a soak: steady figures pass, and each kind of fault fails its own check.

import { expect, setDefaultTimeout, test } from "bun:test";
import { checksOf, slopeOf, type SoakResult, type SoakSample } from "./verdict.ts";

setDefaultTimeout(60_000);

const steady = (atSeconds: number): SoakSample => {
  return { atSeconds, fds: 10_000, rssBytes: 200e6, heapBytes: 60e6, p50Ms: 2, p99Ms: 30 };
};
const times = Array.from({ length: 45 }, (_, i) => 150 + i * 10);

function failed(change: (sample: SoakSample) => Partial<SoakSample>, result: Partial<SoakResult> = {}): string[] {
  const samples = times.map((at) => ({ ...steady(at), ...change(steady(at)) }));
  const all: SoakResult = {
    samples,
    connections: 10_000,
    replies: 1e6,
    lost: 0,
    wrong: 0,
    refused: 0,
    fdsBefore: 16,
    fdsAfter: 16,
    openAfter: 0,
    exitCode: 0,
    ...result,
  };
  return checksOf(all).flatMap(({ what, isFine }) => (isFine ? [] : [what]));
}

test("passes with steady figures, noise, and growth during the warm-up only", () => {
  expect(failed(() => ({}))).toEqual([]);
  const noise = (at: number): number => ((at * 7919) % 13) / 13;
  expect(
    failed(({ atSeconds, rssBytes, fds }) => {
      return { rssBytes: rssBytes + 10e6 * noise(atSeconds), fds: fds + 20 * noise(atSeconds) };
    }),
  ).toEqual([]);
  expect(failed(({ atSeconds }) => ({ p99Ms: atSeconds > 300 ? 24 : 1 }))).toEqual([]); // still fast
});

test("each fault fails its own check", () => {
  const growing = (key: "fds" | "rssBytes" | "heapBytes", share: number) => (sample: SoakSample) => ({
    [key]: sample[key] * (1 + (share * (sample.atSeconds - 150)) / 440),
  });
  expect(failed(growing("fds", 0.06))).toEqual(["growth of file descriptors"]);
  expect(failed(growing("rssBytes", 0.12))).toEqual(["growth of resident memory, MB"]);
  expect(failed(growing("heapBytes", 0.12))).toEqual(["growth of heap after a collection, MB"]);
  expect(failed(({ atSeconds }) => ({ p99Ms: atSeconds > 400 ? 120 : 30 }))).toEqual([
    "p99 in the last third ÷ the first, ms",
  ]);
  const same = (): object => ({});
  expect(failed(same, { lost: 1 })).toEqual(["lost replies and messages"]);
  expect(failed(same, { wrong: 1 })).toEqual(["replies with wrong bytes"]);
  expect(failed(same, { refused: 1 })).toEqual(["connections refused"]);
  expect(failed(same, { fdsAfter: 17 })).toEqual(["file descriptors without clients"]);
  expect(failed(same, { openAfter: 1 })).toEqual(["connections open without clients"]);
  expect(failed(same, { exitCode: 1 })).toEqual(["exit code of the server"]);
  expect(failed(same, { replies: 0 })).toEqual(["replies checked"]);
});

test("the slope is that of the least squares line", () => {
  expect(slopeOf([[0, 1], [1, 3], [2, 5]])).toBeCloseTo(2); // prettier-ignore
  expect(slopeOf([[0, 0], [1, 1], [2, 0]])).toBeCloseTo(0); // prettier-ignore
  expect(slopeOf([[5, 5]])).toBe(0);
});
