// The proxyProtocol option, apart from what it does: the published types need no more.

/** Which connections begin with a header of the PROXY protocol. */
export interface ProxyOptions {
  /**
   * The addresses of the proxies: `"10.0.0.1"`, networks such as `"10.0.0.0/8"` and `"fd00::/8"`, and `"unix"` for all connections
   * over a unix socket. Other peers are clients, and cannot give themselves another address.
   */
  from: readonly string[];
}
