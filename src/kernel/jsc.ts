// The engine's own module, bun:jsc, loaded when it is needed: elsewhere than in Bun the package can be imported all the same.

/** As much of it as is used here. */
interface BunJsc {
  drainMicrotasks(): void;
  estimateShallowMemoryUsageOf(value: object): number;
}

let loaded: BunJsc | undefined;

function jsc(): BunJsc {
  return (loaded ??= process.getBuiltinModule("bun:jsc" as "module") as unknown as BunJsc);
}

/** Let the promises go on that need nothing but that. */
export function drainMicrotasks(): void {
  jsc().drainMicrotasks();
}

/** How many bytes an object has, with what it alone refers to. */
export function shallowSizeOf(value: object): number {
  return jsc().estimateShallowMemoryUsageOf(value);
}
