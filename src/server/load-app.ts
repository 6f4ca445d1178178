// An application in a module of its own, for who cannot hand over functions: another thread, another process, a command line.

import { resolve } from "node:path";
import { type EpollServerOptions, type FetchHandler, resolveOptions } from "./options.ts";

/** Options that the process which runs the app decides. The address may be the app's: see merge-options.ts. */
const notTheApps = new Set(["backlog", "deferAccept", "reusePort", "exclusive", "heartbeat", "onStopping", "trace"]);

/** The module is none that can be served. */
export class AppError extends Error {
  override readonly name: string = "AppError";
}

/**
 * Load a module, and take what it exports by default for what EpollServer is to serve: a fetch handler; an object with a method
 * `fetch`, such as a Hono app; or options of EpollServer, except those that belong to the process.
 *
 * @param file its path, relative to the working directory
 * @throws {AppError} if it cannot be loaded, with what it threw; or exports nothing of that kind
 */
export async function loadApp(file: string): Promise<EpollServerOptions> {
  let app: unknown;
  try {
    const module = (await import(resolve(file))) as { default?: unknown };
    app = await module.default;
  } catch (error) {
    throw new AppError(`${file} cannot be loaded: ${Bun.inspect(error, { colors: false })}`, { cause: error });
  }
  if (typeof app === "function") return { fetch: app as FetchHandler };
  if (typeof app !== "object" || app === null) {
    throw new AppError(
      `${file} has nothing to serve: export default { fetch(request) { return new Response("...") } }`,
    );
  }
  const prototype: unknown = Object.getPrototypeOf(app);
  if (prototype !== Object.prototype && prototype !== null) {
    const other = app as { fetch?: unknown };
    if (typeof other.fetch !== "function") throw new AppError(`${file} exports by default what has no method fetch`);
    return { fetch: (request, server) => (other.fetch as FetchHandler)(request, server) };
  }
  const options = Object.fromEntries(Object.entries(app).filter(([name]) => !notTheApps.has(name)));
  if (!["fetch", "response", "socket"].some((name) => name in options)) {
    throw new AppError(`${file} exports by default neither fetch nor response nor socket`);
  }
  try {
    resolveOptions(options);
  } catch (error) {
    throw new AppError(`${file}: ${(error as Error).message}`, { cause: error });
  }
  return options;
}

/** Where frames of a stack are this package's, which say nothing to who wrote the application. */
const own = `(${resolve(import.meta.dir, "..")}/`;

/** What an application has thrown, with where. */
export function describeThrown(error: unknown): string {
  if (!(error instanceof Error) || error.stack === undefined) return Bun.inspect(error);
  return error.stack
    .split("\n")
    .filter((line) => !line.includes(own))
    .join("\n");
}
