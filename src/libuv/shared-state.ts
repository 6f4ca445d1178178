// What all copies of this package share in a thread, so that only one of them replaces process.dlopen and opens libuv.

interface SharedState {
  /** The module addon-connector.ts, if it has been loaded. */
  connector: unknown;
  /** Attaches a libuv loop to this thread. Set when process.dlopen has been replaced. */
  attach: (() => void) | undefined;
  /** New Workers load epoll-hello/libuv before their own code. */
  isPreloadedInWorkers: boolean;
}

const KEY = "epoll-hello.libuv";
const key = Symbol.for(KEY);
const container = globalThis as { [key]?: SharedState };

export const shared: SharedState = (container[key] ??= {
  connector: undefined,
  attach: undefined,
  isPreloadedInWorkers: false,
});

/** JavaScript that attaches a libuv loop to the thread that runs it. */
export const ATTACH_SCRIPT: string = `globalThis[Symbol.for(${JSON.stringify(KEY)})].attach()`;
