// The server object that the handlers of `serve` receive: Bun.serve's, on an EpollServer.

import { invalidType } from "../kernel/errors.ts";
import type { Address, InternetAddress } from "../kernel/address.ts";
import type { TlsInfo, TlsOptions } from "../protocols/tls/tls-options.ts";
import type { WebSocketData } from "../protocols/websocket/server-websocket.ts";
import type { UpgradeOptions } from "../protocols/websocket/upgrade-options.ts";
import type { EpollServer } from "../server/server.ts";
import type { ServerStats, StopOptions } from "../server/types.ts";
import { changedCookies } from "./route-request.ts";
import { unixUrl } from "./resolve-serve-options.ts";

/** `stop()` lets requests finish, however long that takes, as Bun.serve does. */
const GRACEFUL: StopOptions = { graceMs: Infinity };

/** The app that the server object belongs to. */
export interface ServedApp {
  readonly settings: { readonly id: string; readonly isDevelopment: boolean };
  readonly hasWebSockets: boolean;
  reload(options: unknown, reloadTls: (tls: TlsOptions) => void): void;
  callFetch(request: Request): unknown;
}

export class AppServer implements Disposable, AsyncDisposable {
  readonly #app: ServedApp;
  /** Whether the app chooses the host. */
  readonly #hasHostname: boolean;
  #server: EpollServer | undefined;
  #url: URL | undefined;

  constructor(app: ServedApp, hasHostname: boolean) {
    this.#app = app;
    this.#hasHostname = hasHostname;
  }

  /** Sets the server that serves the app. */
  attach(server: EpollServer): void {
    this.#server = server;
  }

  get #running(): EpollServer {
    if (this.#server === undefined) throw new Error("the server has not been started yet");
    return this.#server;
  }

  get address(): Address {
    return this.#running.address;
  }

  get addresses(): readonly Address[] {
    return this.#running.addresses;
  }

  get port(): number | undefined {
    return this.#running.port;
  }

  get hostname(): string | undefined {
    return this.port === undefined ? undefined : this.url.hostname.replace(/^\[(.*)\]$/, "$1");
  }

  get protocol(): "http" | "https" {
    return this.#running.url.startsWith("https:") ? "https" : "http";
  }

  get url(): URL {
    return (this.#url ??= this.#createUrl());
  }

  get id(): string {
    return this.#app.settings.id;
  }

  get development(): boolean {
    return this.#app.settings.isDevelopment;
  }

  get pendingRequests(): number {
    return this.#running.pendingRequests;
  }

  get pendingWebSockets(): number {
    return this.#running.pendingWebSockets;
  }

  get stats(): ServerStats {
    return this.#running.stats;
  }

  get stopped(): Promise<void> {
    return this.#running.stopped;
  }

  /** Calls the fetch handler without a connection. */
  async fetch(request: Request | string): Promise<unknown> {
    const isText = typeof request === "string";
    if (!isText && !(request instanceof Request)) throw invalidType("request", "a Request or a URL", request);
    return this.#app.callFetch(isText ? new Request(new URL(request, this.url).href) : request);
  }

  reload(options: unknown): this {
    this.#app.reload(options, (tls) => this.#running.reloadTls(tls));
    return this;
  }

  stop(options: boolean | StopOptions = false): Promise<void> {
    if (typeof options === "object") return this.#running.stop(options);
    return this.#running.stop(options ? { graceMs: 0 } : GRACEFUL);
  }

  ref(): void {
    this.#running.ref();
  }

  unref(): void {
    this.#running.unref();
  }

  requestIP(request: Request): InternetAddress | null {
    assertRequest(request);
    return this.#running.requestIP(request);
  }

  tlsInfo(request: Request): TlsInfo | null {
    assertRequest(request);
    return this.#running.tlsInfo(request);
  }

  timeout(request: Request, seconds: number): void {
    assertRequest(request);
    if (typeof seconds !== "number" || !(seconds >= 0)) {
      throw invalidType("seconds", "a number of seconds, or 0 for no timeout", seconds);
    }
    this.#running.setHandlerTimeout(request, seconds === 0 ? Infinity : seconds * 1000);
  }

  closeIdleConnections(): number {
    return this.#running.closeIdleConnections();
  }

  /** Upgrades a request to a WebSocket. The cookies that a route's handler has changed are set as well. */
  upgrade(request: Request, options: UpgradeOptions = {}): boolean {
    assertRequest(request);
    if (!this.#app.hasWebSockets) {
      throw new TypeError('upgrade: the server has no WebSockets; set the "websocket" option');
    }
    const cookies = changedCookies(request);
    if (cookies.length === 0) return this.#running.upgrade(request, options);
    const headers = new Headers(options.headers);
    for (const cookie of cookies) headers.append("set-cookie", cookie);
    return this.#running.upgrade(request, { ...options, headers });
  }

  /** Sends a message to the subscribers of a topic. Without WebSockets, there are none. */
  publish(topic: string, data: WebSocketData, compress?: boolean): number {
    return this.#app.hasWebSockets ? this.#running.publish(topic, data, compress) : 0;
  }

  subscriberCount(topic: string): number {
    return this.#app.hasWebSockets ? this.#running.subscriberCount(topic) : 0;
  }

  [Symbol.dispose](): void {
    void this.stop(true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #createUrl(): URL {
    const { address, url } = this.#running;
    if ("path" in address) return unixUrl(address.path);
    const isAny = !this.#hasHostname && "address" in address && /^[0:.]+$/.test(address.address);
    return new URL(isAny ? `${this.protocol}://localhost:${address.port}` : url);
  }
}

function assertRequest(request: unknown): void {
  if (!(request instanceof Request)) throw invalidType("request", "a Request", request);
}
