// The options of server.upgrade, apart from what it does: the published types need no more.

/** What `new Headers` takes. */
export type HeaderFields = NonNullable<ConstructorParameters<typeof Headers>[0]>;

/** Options of `server.upgrade`. */
export interface UpgradeOptions<Data = unknown> {
  /** Header fields of the response, such as Set-Cookie or Sec-WebSocket-Protocol. */
  headers?: HeaderFields | undefined;
  /** The value of `ws.data`. */
  data?: Data | undefined;
}
