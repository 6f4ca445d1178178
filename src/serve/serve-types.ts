// The types of `serve`: Bun.serve's options and server object, plus what EpollServer adds to them.

// Without the types of Bun, which programs for Bun have, these are `any`.
// @ts-ignore
import type { Serve, Server } from "bun";
import type { Address } from "../kernel/address.ts";
import type { EpollServerOptions } from "../server/options.ts";
import type { ServerStats, StopOptions } from "../server/types.ts";

/** The options of EpollServer that Bun.serve has as well, or that only one handler can be given for. */
type SharedName = "fetch" | "hostname" | "port" | "unix" | "reusePort" | "ipv6Only" | "response" | "socket";

/** The options of `serve`: those of Bun.serve, and those of EpollServer that Bun.serve does not have. */
export type ServeOptions<WebSocketData = undefined, Path extends string = string> = Serve.Options<WebSocketData, Path> &
  Omit<EpollServerOptions, SharedName>;

/** The server object of `serve`: that of Bun.serve, with EpollServer's counters and graceful stop. */
export interface BunServer<WebSocketData = undefined> extends Server<WebSocketData>, AsyncDisposable {
  /** The address that the server listens on; the first one if there are several. */
  readonly address: Address;
  /** All addresses that the server listens on. */
  readonly addresses: readonly Address[];
  /** The server's counters so far: a copy, which does not change afterwards. */
  readonly stats: ServerStats;
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
