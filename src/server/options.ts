// The options of EpollServer.

import type { StaticResponse } from "../protocols/http/static-response.ts";
import type { RequestInfo } from "../protocols/http/request-info.ts";
import type { ProxyOptions } from "../protocols/proxy/proxy-options.ts";
import type { TlsOptions } from "../protocols/tls/tls-options.ts";
import type { SocketHandlers } from "../protocols/socket/server-socket.ts";
import type { WebSocketHandlers } from "../protocols/websocket/websocket-options.ts";
import type { TraceListener, TraceOptions } from "../trace/events.ts";
import type { MetricsOptions } from "./metrics-options.ts";
import type { FetchHandler, Heartbeat, ServerWarning } from "./types.ts";

/** The options of EpollServer. An option that is undefined has its default. */
export interface EpollServerOptions {
  /**
   * The host to listen on: a name or an address. `"localhost"` is 127.0.0.1 and ::1; `"::"` is every IPv6 and IPv4 address;
   * `"0.0.0.0"` is every IPv4 address. Default: `"localhost"`.
   */
  hostname?: string | undefined;
  /** The port to listen on, from 0 to 65535. 0 selects a free port, which `server.port` returns. Default: 0. */
  port?: number | undefined;
  /**
   * Listen on a unix(7) socket instead of a port: a path, or `"\0name"` for the abstract namespace. The socket file is removed
   * when the server stops. A file that another server left behind is replaced.
   */
  unix?: string | undefined;
  /**
   * Serve on one or more sockets that are already listening: inherited, passed by another process, or from `listenFds()`. The
   * server takes ownership of them and closes them when it stops. The file of a unix socket is left in place. SO_LINGER is turned
   * off, because connections inherit it, and closing one would wait for its client.
   */
  fd?: number | readonly number[] | undefined;
  /** The maximum number of connections waiting to be accepted. The kernel caps it at net.core.somaxconn. Default: 4096. */
  backlog?: number | undefined;
  /** Allow several servers to listen on the same port (SO_REUSEPORT). Default: false. */
  reusePort?: boolean | undefined;
  /** Accept only IPv6 on `"::"`, which otherwise also accepts IPv4 (IPV6_V6ONLY). Default: false. */
  ipv6Only?: boolean | undefined;
  /**
   * Let the kernel hold back a new TCP connection until its first bytes arrive, or for one second (TCP_DEFER_ACCEPT in tcp(7)).
   * This makes a connection with one request a third cheaper. Default: true if `eager` is true, except with `socket`, because the
   * server may be the first to send, with `reusePort`, because a connection that is held back is reset when the server stops, and
   * with `fd`, because the options of an inherited socket are left as they are.
   */
  deferAccept?: boolean | undefined;
  /**
   * Other processes serve on the same listening sockets (`fd`). The kernel then wakes only one of them for each connection
   * (EPOLLEXCLUSIVE), and each accepts one connection per wake-up, so that all of them get connections. Default: false.
   */
  exclusive?: boolean | undefined;
  /**
   * Keep connections open for further requests. With `keepAlive: false` and `eager: false` the server behaves exactly like the
   * original Python program. Default: true.
   */
  keepAlive?: boolean | undefined;
  /** Try the next system call immediately, and wait for epoll only after EAGAIN. Default: true. */
  eager?: boolean | undefined;
  /**
   * One response to every request: a string, bytes, or an object with status, headers and body. Default:
   * `"Hello from Epoll server!"`.
   */
  response?: string | Uint8Array | StaticResponse | undefined;
  /**
   * A web-standard handler that responds to each request, such as a Hono app's `app.fetch`. A Response that is available
   * immediately, or after microtasks have run, is sent within the same iteration. A handler that waits for anything else (a
   * timer, another server) needs Bun's event loop: use `start()`.
   */
  fetch?: FetchHandler | undefined;
  /**
   * Called when `fetch` throws, rejects, does not return a Response, or takes longer than `handlerTimeoutMs`, and when the body of
   * a response fails. The Response that it returns, or that its promise resolves with, is sent if no response has begun. If it
   * returns nothing, or is not set, the status is 500, or 503 after a timeout.
   */
  onError?: ((error: unknown, request: Request | undefined) => Response | void | Promise<Response | void>) | undefined;
  /** Handlers for a protocol of your own instead of HTTP, in the shape of Bun.listen's. */
  // oxlint-disable-next-line typescript/no-explicit-any -- the type of `data` is the application's
  socket?: SocketHandlers<any> | undefined;
  /**
   * Connections begin with a header of the PROXY protocol, version 1 or 2, which a proxy sends: HAProxy with `send-proxy-v2`, nginx's
   * stream module, AWS and Google Cloud load balancers. The client's address in it takes the place of the proxy's, in `requestIP`,
   * `onRequest`, `socket.remoteAddress` and `maxConnectionsPerAddress`.
   *
   * true: each connection must begin with a header, otherwise it gets 400. Only use it if nothing but the proxy can connect: any
   * client could claim to have another address. `{ from }`: connections from these addresses must, and others must not.
   * Default: false.
   */
  proxyProtocol?: boolean | ProxyOptions | undefined;
  /**
   * Encrypt all connections with TLS: a certificate with its key, or an array with several, of which a client gets the one for the host
   * name that it asks for (SNI), by default the first. Files are read when the server is created. `reloadTls` replaces them. TLS needs
   * Bun's event loop: `start()`, not `run()`. false: without TLS. Default: false.
   */
  tls?: TlsOptions | readonly TlsOptions[] | false | undefined;
  /**
   * Handlers and settings of WebSockets, as for Bun.serve. `fetch` is required: it calls `server.upgrade(request)` for the requests
   * that become WebSockets.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- the type of `data` is the application's
  websocket?: WebSocketHandlers<any> | undefined;
  /** The maximum number of open connections. Further ones wait in the backlog. Default: Infinity, up to the limit of fds. */
  maxConnections?: number | undefined;
  /**
   * The maximum number of open connections from one address. Further ones get 503. Default: Infinity, because a proxy is one
   * address.
   */
  maxConnectionsPerAddress?: number | undefined;
  /** The maximum number of requests on a connection. The last response says `Connection: close`. Default: Infinity. */
  maxRequestsPerConnection?: number | undefined;
  /** The maximum size of a request's head in bytes. Beyond it: 431. Default: 16384. */
  maxHeaderBytes?: number | undefined;
  /** The maximum number of header fields in a request. Beyond it: 431. Default: 100. */
  maxHeaderCount?: number | undefined;
  /** The maximum size of a request target in bytes. Beyond it: 414. Default: 8192. */
  maxTargetBytes?: number | undefined;
  /** The maximum size of a request's body in bytes. Beyond it: 413. Default: 16777216 (16 MiB). */
  maxBodyBytes?: number | undefined;
  /**
   * The maximum number of bytes that wait in the server's buffers: responses that clients have not received yet, and request
   * bodies that handlers have not read yet. Beyond it, new requests get 503. Default: a quarter of the memory that is available to
   * the process.
   */
  maxBufferedBytes?: number | undefined;
  /**
   * How long a request's head may take, in milliseconds, from the start of the connection or the first byte of the head. Beyond
   * it: 408. A TLS handshake may take as long, from the start of the connection. Default: 10000. This and the other timeouts accept Infinity.
   */
  headerTimeoutMs?: number | undefined;
  /**
   * The interval in which the rate of a request's body is checked, in milliseconds: in each one, `minBodyRate` bytes per second
   * must arrive, or the end of the body. Otherwise: 408. Default: 30000.
   */
  bodyTimeoutMs?: number | undefined;
  /** The minimum rate of a request's body in bytes per second, on average over `bodyTimeoutMs`. Default: 240. */
  minBodyRate?: number | undefined;
  /**
   * How long a connection may be idle between two requests, in milliseconds. Default: 75000, which is longer than the 60 seconds
   * after which most proxies close their idle connections: if the server closed first, it could lose a request that the proxy has
   * just sent.
   */
  idleTimeoutMs?: number | undefined;
  /**
   * How long `fetch` may take until its response is available, and how long a streaming response may send nothing, in
   * milliseconds. Beyond it, `request.signal` aborts. A response that has not begun is replaced by 503; a stream is canceled and
   * its connection reset. After a client has closed its side, the limit is at most 10 seconds. Default: 120000.
   */
  handlerTimeoutMs?: number | undefined;
  /**
   * How long a client may go without reading any of its response, in milliseconds. Then the connection is reset. Default:
   * 30000.
   */
  writeTimeoutMs?: number | undefined;
  /**
   * A path that responds with 200 while the server serves, and with 503 once it begins to stop: `"/healthz"`. The handler does not
   * get requests to this path. Default: none.
   */
  health?: string | undefined;
  /**
   * A path that responds with metrics of this server in the text format of Prometheus: `"/metrics"`. The handler does not get requests
   * to this path. Everyone who can send requests can read them. Default: none.
   */
  metrics?: string | MetricsOptions | undefined;
  /** Called for each request when it is answered, or rejected by the server (400, 408, 413, 431, …). */
  onRequest?: ((request: RequestInfo) => void) | undefined;
  /** Called by the run loop at a regular interval, for a watchdog: as long as it is called, the loop is not stuck. */
  heartbeat?: Heartbeat | undefined;
  /** Called once, when the server begins to stop. */
  onStopping?: (() => void) | undefined;
  /** Called when the server works around a problem, once each time the problem begins. */
  onWarning?: ((warning: ServerWarning) => void) | undefined;
  /**
   * Called for each event of the run loop: waits with their results, system calls, state changes, and warnings about likely
   * mistakes. Without it, tracing costs nothing.
   */
  trace?: TraceListener | TraceOptions | undefined;
}
