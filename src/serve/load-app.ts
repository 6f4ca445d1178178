// Loads an application from a module, for callers that cannot pass functions: a Worker, a child process, the command line.

import { resolve } from "node:path";
import { installDlopenHook } from "../libuv/dlopen-hook.ts";
import type { EpollServerOptions } from "../server/options.ts";
import { resolveOptions } from "../server/resolve-options.ts";
import { type ErrorReporter, ServeApp } from "./serve-app.ts";

/** A module cannot be loaded, or its default export cannot be served. */
export class AppError extends Error {
  override readonly name: string = "AppError";
}

/**
 * Imports a module and returns its default export as options of EpollServer.
 *
 * The default export, or the promise of one, is a fetch handler; an object with a `fetch` method, such as a Hono app; options of
 * `serve`; or options of EpollServer with `response` or `socket`. They include the address to listen on.
 *
 * @param file the module's path, relative to the working directory
 * @param report called for errors that the app does not handle
 * @throws {AppError} if the module cannot be loaded, or its default export cannot be served
 */
export async function loadApp(
  file: string,
  report: ErrorReporter = (error) => reportError(error),
): Promise<EpollServerOptions> {
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
    app = { fetch: app };
  }
  if (typeof app !== "object" || app === null) {
    const example = 'export default { fetch(request) { return new Response("...") } }';
    throw new AppError(`${file}: the default export must be a fetch handler or an object with one: ${example}`);
  }
  const isInstance = ![Object.prototype, null].includes(Object.getPrototypeOf(app) as object | null);
  if (isInstance && typeof (app as { fetch?: unknown }).fetch !== "function") {
    throw new AppError(`${file}: the default export must have a fetch method; it is ${nameOf(app)}`);
  }
  if (isInstance) rejectWebSocketRoutes(file, app);
  try {
    if (isInstance || !("response" in app || "socket" in app)) {
      return new ServeApp(app, report, { development: false }).options;
    }
    resolveOptions(app as EpollServerOptions);
  } catch (error) {
    throw new AppError(`${file}: ${(error as Error).message}`, { cause: error });
  }
  return { ...(app as EpollServerOptions) };
}

/** @throws {AppError} if the app is one of Elysia with WebSockets, whose handlers are not a part of the app */
function rejectWebSocketRoutes(file: string, { routes }: { routes?: unknown }): void {
  const route = Array.isArray(routes)
    ? (routes as { method?: unknown; path?: unknown }[]).find(isWebSocketRoute)
    : undefined;
  if (route === undefined) return;
  const example =
    "export default { fetch(request, server) { app.server = server; return app.fetch(request); }, websocket }";
  throw new AppError(
    `${file}: the WebSocket route ${String(route.path)} needs the handlers of elysia/ws: ` +
      `import { websocket } from "elysia/ws"; ${example}`,
  );
}

function isWebSocketRoute(route: { method?: unknown } | null | undefined): boolean {
  return route?.method === "WS";
}

function isClass(value: Function): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function nameOf(instance: object): string {
  return `an instance of ${instance.constructor?.name ?? "an unnamed class"}`;
}
