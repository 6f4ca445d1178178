// The protocols and parts that most servers do not use. Each is loaded when a server with its options is created.

type SocketProtocolModule = typeof import("../protocols/socket/socket-protocol.ts");
type ProxiedProtocolModule = typeof import("../protocols/proxy/proxied-protocol.ts");
type TlsProtocolModule = typeof import("../protocols/tls/tls-protocol.ts");
type WebSocketsModule = typeof import("../protocols/websocket/web-sockets.ts");
type WebSocketOptionsModule = typeof import("../protocols/websocket/websocket-options.ts");
type MonitoringModule = typeof import("./monitoring.ts");
type ClassicProtocolModule = typeof import("../protocols/classic/classic-protocol.ts");

/** Loads the protocol of the `socket` option. */
export function loadSocketProtocol(): SocketProtocolModule {
  return require("../protocols/socket/socket-protocol.ts") as SocketProtocolModule;
}

/** Loads the protocol of the `proxyProtocol` option. */
export function loadProxiedProtocol(): ProxiedProtocolModule {
  return require("../protocols/proxy/proxied-protocol.ts") as ProxiedProtocolModule;
}

/** Loads the protocol of the `tls` option. */
export function loadTlsProtocol(): TlsProtocolModule {
  return require("../protocols/tls/tls-protocol.ts") as TlsProtocolModule;
}

/** Loads the protocol of the `websocket` option. */
export function loadWebSockets(): WebSocketsModule {
  return require("../protocols/websocket/web-sockets.ts") as WebSocketsModule;
}

/** Loads the checks of the `websocket` option. */
export function loadWebSocketOptions(): WebSocketOptionsModule {
  return require("../protocols/websocket/websocket-options.ts") as WebSocketOptionsModule;
}

/** Loads the parts of the `health` and `metrics` options. */
export function loadMonitoring(): MonitoringModule {
  return require("./monitoring.ts") as MonitoringModule;
}

/** Loads the protocol of the original program: `keepAlive: false, eager: false` without a fetch handler. */
export function loadClassicProtocol(): ClassicProtocolModule {
  return require("../protocols/classic/classic-protocol.ts") as ClassicProtocolModule;
}
