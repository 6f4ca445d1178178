// Combines the options of an app with those of the command line, and chooses the address to listen on.

import type { EpollServerOptions } from "./options.ts";

/**
 * Returns the options of the server: those of `overrides`, else of `app`, else of `defaults`.
 *
 * The address options are one choice, because they exclude each other: a port in `overrides` replaces a unix socket of the app.
 * The app's options for opening a socket have no effect on one that is inherited, and are left out then.
 *
 * @param defaults hostname and port, used if neither has an address
 */
export function mergeOptions(
  app: EpollServerOptions,
  overrides: EpollServerOptions,
  defaults: Pick<EpollServerOptions, "hostname" | "port"> = {},
): EpollServerOptions {
  const { hostname, port, unix, fd, backlog, reusePort, ipv6Only, deferAccept, ...others } = app;
  const isTcp = overrides.port !== undefined || overrides.hostname !== undefined;
  const isOther = overrides.unix !== undefined || overrides.fd !== undefined;
  const address = isOther ? {} : isTcp ? { hostname, port } : { hostname, port, unix, fd };
  const socketOptions =
    overrides.fd !== undefined
      ? {}
      : overrides.unix !== undefined
        ? { backlog }
        : { backlog, reusePort, ipv6Only, deferAccept };
  const merged = { ...others, ...withoutUndefined({ ...address, ...socketOptions }), ...withoutUndefined(overrides) };
  if (merged.fd !== undefined) delete merged.deferAccept; // set by the debugger, for sockets that it opens
  return merged.unix === undefined && merged.fd === undefined ? { ...defaults, ...merged } : merged;
}

/** Returns the names of the address options that are set. */
export function addressOptions({ hostname, port, unix, fd }: EpollServerOptions): string[] {
  return Object.keys(withoutUndefined({ hostname, port, unix, fd }));
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
