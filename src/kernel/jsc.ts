// Functions of bun:jsc, loaded on first use, because the package must be importable outside Bun.

interface BunJsc {
  drainMicrotasks(): void;
  estimateShallowMemoryUsageOf(value: object): number;
}

let loaded: BunJsc | undefined;

function jsc(): BunJsc {
  return (loaded ??= process.getBuiltinModule("bun:jsc" as "module") as unknown as BunJsc);
}

/** Runs all pending microtasks, such as promise reactions. */
export function drainMicrotasks(): void {
  jsc().drainMicrotasks();
}

/**
 * Returns the approximate size of an object in bytes, including memory that it owns but not the objects it refers to.
 */
export function shallowSizeOf(value: object): number {
  return jsc().estimateShallowMemoryUsageOf(value);
}
