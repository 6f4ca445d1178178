// Types that several parts of the server share: options, statistics and warnings, and the handle for applications.

import type { Address, InternetAddress } from "../kernel/address.ts";
import type { RejectionCounts } from "../protocols/http/rejection.ts";
import type { TlsInfo } from "../protocols/tls/tls-options.ts";
import type { WebSocketData } from "../protocols/websocket/server-websocket.ts";
import type { UpgradeOptions } from "../protocols/websocket/upgrade-options.ts";

/** A problem that the server works around and that its operator may want to know about. */
export interface ServerWarning {
  /** A short code, such as `"EMFILE"`. */
  readonly code: string;
  /** What happened, what the server does about it, and what the operator can do. */
  readonly message: string;
}

/** A function that the run loop calls at a regular interval, such as a watchdog's. */
export interface Heartbeat {
  /** The interval in milliseconds. */
  everyMs: number;
  /** Called between two waits. If it is not called, the loop is stuck. */
  beat: () => void;
}

/** A server's counters. */
export interface ServerStats {
  /** Connections accepted. */
  accepted: number;
  /** Connections open now. */
  open: number;
  /** Requests whose head was accepted. */
  requests: number;
  /** Bytes received. */
  bytesIn: number;
  /** Bytes sent. */
  bytesOut: number;
  /** Connections on which a timeout expired. */
  timeouts: number;
  /** Requests rejected. */
  rejected: number;
  /** Requests rejected, by reason. */
  rejectedBy: RejectionCounts;
  /** TLS handshakes that were completed. */
  handshakes: number;
  /**
   * TLS handshakes that have failed: the client did not accept the certificate, has none, or speaks another version; it took too long, left,
   * or does not speak TLS at all.
   */
  failedHandshakes: number;
  /** Connections that failed: reset by the peer, or lost by the network. */
  errors: number;
}

/** Options of `stop`. */
export interface StopOptions {
  /** How long a connection may take to finish before it is closed forcibly, in milliseconds. Default: 10000. */
  graceMs?: number | undefined;
  /**
   * How long an idle connection may still send a request, in milliseconds. Its response says `Connection: close`. Default: 0.
   * Use it when other processes keep serving on the same address: a request that was sent just before the close is not lost.
   */
  idleMs?: number | undefined;
}

/** The server as a `fetch` handler sees it: the handler's second argument. */
export interface ServerHandle {
  readonly address: Address;
  readonly addresses: readonly Address[];
  readonly port: number | undefined;
  readonly url: string;
  readonly stats: ServerStats;
  /** Returns the address of the client that sent the request; null on a unix socket. */
  requestIP(request: Request): InternetAddress | null;
  /** Returns what the TLS handshake of the request's connection has agreed on; null without TLS. */
  tlsInfo(request: Request): TlsInfo | null;
  /** Upgrades the request to a WebSocket; see `EpollServer.upgrade`. */
  upgrade(request: Request, options?: UpgradeOptions): boolean;
  /** Sends a message to the WebSockets that are subscribed to a topic; see `EpollServer.publish`. */
  publish(topic: string, data: WebSocketData, compress?: boolean): number;
  /** Returns the number of WebSockets that are subscribed to a topic. */
  subscriberCount(topic: string): number;
  /** The number of open WebSockets. */
  readonly pendingWebSockets: number;
  /** Stops the server. */
  stop(options?: StopOptions): Promise<void>;
}

/**
 * A web-standard request handler. `server` is the server that calls it. It returns a Response, or nothing if it has upgraded the
 * request to a WebSocket.
 */
export type FetchHandler = (
  request: Request,
  server: ServerHandle,
) => Response | undefined | void | Promise<Response | undefined | void>;
