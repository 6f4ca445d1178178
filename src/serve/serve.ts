// serve(): Bun.serve's options and server object, on EpollServer. The rest is loaded when it is first called.

import type { BunServer, ServeOptions } from "./serve-types.ts";

type StartServer = typeof import("./start-server.ts");

/**
 * Starts a server with the options of Bun.serve, on Bun's event loop.
 *
 * An app that calls `Bun.serve` moves over by calling this function instead. Options that are not supported are rejected by name.
 *
 * @param options the options of Bun.serve, and those of EpollServer under their own names
 * @returns Bun.serve's server object, with `stats`, and with the options of EpollServer's `stop`
 * @throws {TypeError} if options are unknown, not supported, exclude each other, or have the wrong type
 * @throws {RangeError} if an option is out of range
 * @throws {ErrnoError} EADDRINUSE, EADDRNOTAVAIL, EACCES, … with address and port, if the address cannot be listened on
 * @throws {LookupError} if the host name cannot be resolved
 *
 * @example
 * ```ts
 * const server = serve({
 *   port: 0,
 *   routes: { "/users/:id": (request) => new Response(`user ${request.params.id}`) },
 *   fetch: () => new Response("not found", { status: 404 }),
 * });
 * console.log(`listening on ${server.url}`);
 * ```
 */
export function serve<WebSocketData = undefined, Path extends string = never>(
  options: ServeOptions<WebSocketData, Path>,
): BunServer<WebSocketData> {
  return (require("./start-server.ts") as StartServer).startServer(options);
}
