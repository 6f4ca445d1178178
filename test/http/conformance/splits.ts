// Ways to split what a client sends: one piece, byte by byte, and at random positions that are the same in every run.

import { scaled } from "../../support/scale.ts";

/** The number of random splits. */
const RANDOM = scaled(1, 4);
/** Bytes at either end of a long text that are sent one by one; the rest is sent in larger pieces. */
const EDGE = 1200;
const STRIDE = 1499;

export interface Split {
  name: string;
  /** Splits a part into pieces. */
  cut: (part: string) => string[];
}

export function splitsFor(name: string): Split[] {
  const random = randomFrom(name);
  const names = Array.from({ length: RANDOM }, (_, i) => `random pieces (${i + 1})`);
  return [
    { name: "one piece", cut: (part) => [part] },
    { name: "byte by byte", cut: bytewise },
    ...names.map((name) => ({ name, cut: (part: string) => randomly(part, random) })),
  ];
}

function bytewise(part: string): string[] {
  if (part.length <= 2 * EDGE) return [...part];
  const middle = part.slice(EDGE, -EDGE);
  const pieces = Array.from({ length: Math.ceil(middle.length / STRIDE) }, (_, i) =>
    middle.slice(i * STRIDE, (i + 1) * STRIDE),
  );
  return [...part.slice(0, EDGE), ...pieces, ...part.slice(-EDGE)];
}

function randomly(part: string, random: () => number): string[] {
  const count = 1 + Math.floor(random() * 7);
  const cuts = Array.from({ length: count }, () => Math.floor(random() * (part.length + 1)));
  const positions = [0, ...new Set(cuts), part.length].sort((a, b) => a - b);
  return positions.map((end, i) => part.slice(positions[i - 1] ?? 0, end)).filter((piece) => piece !== "");
}

/** Returns a generator of numbers from 0 to 1 (mulberry32), seeded with the text. */
function randomFrom(text: string): () => number {
  let state = Number(Bun.hash.crc32(text));
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
