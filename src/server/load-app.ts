// Loads an application from a module, for callers that cannot pass functions: a Worker, a child process, the command line.

import { resolve } from "node:path";
import { installDlopenHook } from "../libuv/dlopen-hook.ts";
import type { EpollServerOptions } from "./options.ts";
import { resolveOptions } from "./resolve-options.ts";
import type { FetchHandler } from "./types.ts";

/** A module cannot be loaded, or its default export cannot be served. */
export class AppError extends Error {
  override readonly name: string = "AppError";
}

/**
 * Imports a module and returns its default export as options of EpollServer.
 *
 * The default export, or the promise of one, is a fetch handler; an object with a `fetch` method, such as a Hono app; or options
 * of EpollServer, including those that say where to listen.
 *
 * @param file the module's path, relative to the working directory
 * @throws {AppError} if the module cannot be loaded, or its default export cannot be served
 */
export async function loadApp(file: string): Promise<EpollServerOptions> {
  installDlopenHook(); // the app may depend on native addons that need libuv
  let app: unknown;
  try {
    const module = (await import(resolve(file))) as { default?: unknown };
    app = await module.default;
  } catch (error) {
    throw new AppError(`${file} cannot be loaded: ${Bun.inspect(error, { colors: false })}`, { cause: error });
  }
  if (typeof app === "function") {
    if (isClass(app)) {
      throw new AppError(
        `${file}: the default export must not be a class; export an instance, or an object with fetch`,
      );
    }
    return { fetch: app as FetchHandler };
  }
  if (typeof app !== "object" || app === null) {
    const example = 'export default { fetch(request) { return new Response("...") } }';
    throw new AppError(`${file}: the default export must be a fetch handler or an object with one: ${example}`);
  }
  const prototype: unknown = Object.getPrototypeOf(app);
  if (prototype !== Object.prototype && prototype !== null) {
    const instance = app as { fetch?: unknown };
    if (typeof instance.fetch !== "function") {
      throw new AppError(`${file}: the default export must have a fetch method; it is ${nameOf(app)}`);
    }
    return { fetch: (request, server) => (instance.fetch as FetchHandler)(request, server) };
  }
  try {
    resolveOptions(app); // first, because it names all options that belong to another server
  } catch (error) {
    throw new AppError(`${file}: ${(error as Error).message}`, { cause: error });
  }
  if (!["fetch", "response", "socket"].some((name) => name in app)) {
    throw new AppError(`${file}: the default export must have one of fetch, response and socket`);
  }
  return { ...app };
}

function isClass(value: Function): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function nameOf(instance: object): string {
  return `an instance of ${instance.constructor?.name ?? "an unnamed class"}`;
}
