// The part of an axis that the timeline shows, and how it changes when the user zooms and pans.

export interface Extent {
  from: number;
  to: number;
}

/** Moves an extent into the bounds, and shrinks it if it is larger. */
export function clampExtent({ from, to }: Extent, bounds: Extent): Extent {
  const span = Math.min(to - from, Math.max(0, bounds.to - bounds.from));
  const start = Math.max(bounds.from, Math.min(from, bounds.to - span));
  return { from: start, to: start + span };
}

/**
 * Changes the span by a factor.
 *
 * @param at the value that keeps its place
 * @param minSpan the smallest span
 */
export function zoomExtent({ from, to }: Extent, factor: number, at: number, minSpan: number): Extent {
  const span = Math.max(minSpan, (to - from) * factor);
  const fraction = to === from ? 0.5 : (at - from) / (to - from);
  return { from: at - fraction * span, to: at + (1 - fraction) * span };
}

/** Moves an extent as far as needed for it to contain a value, with a margin on that side. */
export function extentWith({ from, to }: Extent, value: number): Extent {
  if (value >= from && value <= to) return { from, to };
  const span = to - from;
  const margin = span / 8;
  return value < from
    ? { from: value - margin, to: value - margin + span }
    : { from: value + margin - span, to: value + margin };
}

/** Returns a step of 1, 2 or 5 times a power of ten, at least `least`. */
export function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, Number.MIN_VALUE)));
  const factor = [1, 2, 5].find((one) => one * power >= least) ?? 10;
  return factor * power;
}
