// Preloads a module into each Worker, since Bun's --preload applies to the main thread only.

import { ATTACH_SCRIPT, shared } from "./shared-state.ts";

type WorkerClass = new (url: string | URL, options?: WorkerOptions) => object;
type Options = WorkerOptions & { preload?: string | string[] };

const MODULE = "epoll-hello/libuv";

/** Makes each new Worker load this module before its own code. */
export function preloadInWorkers(): void {
  if (shared.isPreloadedInWorkers) return;
  shared.isPreloadedInWorkers = true;
  const path = resolveModule();
  if (path === undefined) return;
  globalThis.Worker = withPreload(globalThis.Worker, path);
  const workerThreads = process.getBuiltinModule("node:worker_threads") as { Worker: WorkerClass };
  workerThreads.Worker = withPreload(workerThreads.Worker, path);
}

/**
 * Returns JavaScript that loads this module in a Worker that has not loaded it, and attaches a loop. Returns undefined in a
 * program built with `bun build --compile`.
 */
export function attachScript(): string | undefined {
  const path = resolveModule();
  if (path === undefined) return undefined;
  const load = `process.getBuiltinModule("node:module").createRequire(${JSON.stringify(path)})(${JSON.stringify(path)})`;
  return `${load}; ${ATTACH_SCRIPT}`;
}

/** Returns the path of the module, or undefined in a program built with `bun build --compile`. */
function resolveModule(): string | undefined {
  try {
    return Bun.resolveSync(MODULE, import.meta.dir);
  } catch {
    return undefined;
  }
}

function withPreload<T>(original: T, module: string): T {
  const Base = original as WorkerClass;
  class Worker extends Base {
    constructor(url: string | URL, options?: Options) {
      super(url, { ...options, preload: [module, ...[options?.preload ?? []].flat()] } as Options);
    }
  }
  return Worker as T;
}
