// The types of `serve`: Bun.serve's options and server object, plus what EpollServer adds to them.

import type { Address } from "../kernel/address.ts";
import type { EpollServerOptions } from "../server/options.ts";
import type { TlsInfo } from "../protocols/tls/tls-options.ts";
import type { ServerStats, StopOptions } from "../server/types.ts";

// Programs for Bun have these types, from @types/bun or bun-types. Without them, they are `any`. The comments of the next two types
// are part of the declarations that are published.
/** @ts-ignore */
type BunOptions<Data, Path extends string> = import("bun").Serve.Options<Data, Path>;
/** @ts-ignore */
type BunServeServer<Data> = import("bun").Server<Data>;

/** The options of EpollServer that Bun.serve has as well, or that only one handler can be given for. */
type SharedName =
  | "fetch"
  | "websocket"
  | "hostname"
  | "port"
  | "unix"
  | "reusePort"
  | "ipv6Only"
  | "tls"
  | "response"
  | "socket";

/** The options of `serve`: those of Bun.serve, and those of EpollServer that Bun.serve does not have. */
export type ServeOptions<Data = undefined, Path extends string = string> = BunOptions<Data, Path> &
  Omit<EpollServerOptions, SharedName>;

/** The server object of `serve`: that of Bun.serve, with what EpollServer adds. */
export type BunServer<Data = undefined> = BunServeServer<Data> & ServerExtras;

/** What the server object of `serve` has in addition to that of Bun.serve. */
export interface ServerExtras extends AsyncDisposable {
  /** The address that the server listens on; the first one if there are several. */
  readonly address: Address;
  /** All addresses that the server listens on. */
  readonly addresses: readonly Address[];
  /** The server's counters so far: a copy, which does not change afterwards. */
  readonly stats: ServerStats;
  /** Returns what the TLS handshake of the request's connection has agreed on; null without TLS. */
  tlsInfo(request: Request): TlsInfo | null;
  /** A promise that resolves when the server has stopped and everything is closed. */
  readonly stopped: Promise<void>;
  /**
   * Stops the server. Without options, connections with a pending request may finish it, however long that takes.
   *
   * @param options true: close everything immediately. An object: the limits of EpollServer's `stop`
   * @returns a promise that resolves when every connection is closed
   */
  stop(options?: boolean | StopOptions): Promise<void>;
}
