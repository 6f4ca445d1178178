// Starts the server of `serve`: listens on its address, and runs on Bun's event loop.

import { ErrnoError } from "../kernel/errors.ts";
import type { EpollServerOptions } from "../server/options.ts";
import { EpollServer } from "../server/server.ts";
import { ServeApp } from "./serve-app.ts";
import type { BunServer, ServeOptions } from "./serve-types.ts";

const DEFAULT_PORT = 3000;

/**
 * Does what `serve` does.
 *
 * @throws what `serve` throws
 */
export function startServer<WebSocketData, Path extends string>(
  options: ServeOptions<WebSocketData, Path>,
): BunServer<WebSocketData> {
  const app = new ServeApp(options, (error) => reportError(error));
  const server = listen(app.options);
  app.server.attach(server);
  server.startNow();
  return app.server as unknown as BunServer<WebSocketData>;
}

/** Listens on every address unless the options name one, as Bun.serve does. */
function listen(options: EpollServerOptions): EpollServer {
  const { hostname, port = DEFAULT_PORT, unix, fd } = options;
  if (unix !== undefined || fd !== undefined) return new EpollServer(options);
  if (hostname !== undefined) return new EpollServer({ ...options, port });
  try {
    return new EpollServer({ ...options, port, hostname: "::" });
  } catch (error) {
    const hasNoIPv6 = error instanceof ErrnoError && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(error.code);
    if (!hasNoIPv6 || options.ipv6Only === true) throw error;
    return new EpollServer({ ...options, port, hostname: "0.0.0.0" });
  }
}
