// HTTP/1.1: dispatches the loop's events to the fast path or, for connections with state, to their HttpConnection.

import type { Buffer } from "node:buffer";
import type { ConnectionRejection, Protocol, ProtocolConnection } from "../protocol.ts";
import type { UpgradeOptions } from "../websocket/upgrade-options.ts";
import type { WebSockets } from "../websocket/web-sockets.ts";
import { FastPath } from "./fast-path.ts";
import { HandlerRunner } from "./handler-runner.ts";
import { HttpConnection } from "./http-connection.ts";
import { HttpContext, type HttpOptions } from "./http-context.ts";
import { isParserReady } from "./llhttp.ts";
import type { HttpState, UpgradedState } from "./http-state.ts";
import type { RejectionCounts } from "./rejection.ts";
import { ServerRequest } from "./server-request.ts";

/** When loading the parser is tried again, if no fd was free. */
const PARSER_RETRY_MS = 1000;

export class HttpProtocol implements Protocol {
  readonly lingers: boolean = true;
  readonly #context: HttpContext;
  readonly #fastPath: FastPath;
  readonly #handlers: HandlerRunner;
  readonly #webSockets: WebSockets | undefined;
  #isStopping = false;
  /** The parser is loaded after the first response: loading takes as long as starting everything else. */
  #loadParserAtMs = 0;

  /** @param webSockets what upgrades requests, if the server has the `websocket` option */
  constructor(options: HttpOptions, webSockets: WebSockets | undefined) {
    this.#context = new HttpContext(options);
    this.#webSockets = webSockets;
    this.#handlers = new HandlerRunner(this.#context);
    this.#fastPath = new FastPath(this.#context, options.sys, (connection) => this.#httpConnection(connection));
  }

  /** The number of requests whose head was accepted. */
  get requests(): number {
    return this.#context.requests;
  }

  /** The number of requests whose response was not sent completely. */
  get pendingRequests(): number {
    return this.#context.pendingRequests;
  }

  /** The number of requests and connections that were rejected, by reason. */
  get rejectedBy(): Readonly<RejectionCounts> {
    return this.#context.rejectedBy;
  }

  /** Sets what is called for each handler that returned a promise. */
  set onPending(onPending: (fd: number, promise: Promise<unknown>) => void) {
    this.#context.onPending = onPending;
  }

  /** `run` or `start` was called: only they call the loop from now on. */
  onRunning(): void {
    this.#context.mayRunMicrotasks = true;
    this.#webSockets?.onRunning();
  }

  /** Bun's event loop runs from now on, so that responses can wait for files. */
  onBunLoop(): void {
    this.#context.files.canAwait = true;
  }

  updateTime(nowMs: number): void {
    this.#context.updateDate(nowMs);
    if (nowMs >= this.#loadParserAtMs && this.requests > 0) {
      this.#loadParserAtMs = Infinity; // also if loading throws: once, not in every iteration
      if (!isParserReady()) this.#loadParserAtMs = nowMs + PARSER_RETRY_MS;
    }
  }

  open(): void {}

  receive(connection: ProtocolConnection, bytes: Buffer, length: number): void {
    const state = connection.protocolState as HttpState | undefined;
    if (state !== undefined) return state.receive(bytes, 0, length);
    const count = this.#fastPath.answer(connection, bytes, 0, length);
    // The open handler of a WebSocket may have closed the connection: what follows the request is not another one.
    if (count < length && !connection.isClosed) this.#stateOf(connection).receive(bytes, count, length);
  }

  end(connection: ProtocolConnection): void {
    if (connection.protocolState === undefined) connection.finish(true);
    else (connection.protocolState as HttpState).end();
  }

  peerClosed(connection: ProtocolConnection): void {
    (connection.protocolState as HttpState | undefined)?.peerClosed();
  }

  drain(connection: ProtocolConnection): void {
    (connection.protocolState as HttpState | undefined)?.drain();
  }

  timeout(connection: ProtocolConnection): void {
    if (connection.protocolState === undefined) connection.finish(false);
    else (connection.protocolState as HttpState).timeout();
  }

  reject(connection: ProtocolConnection, reason: ConnectionRejection): void {
    connection.write(this.#context.reject(reason).variant("close", false));
    connection.finish(false);
  }

  closed(connection: ProtocolConnection): void {
    (connection.protocolState as HttpState | undefined)?.closed();
    connection.protocolState = undefined;
  }

  stop(): void {
    this.#context.keepAlive = false;
    this.#isStopping = true;
    this.#webSockets?.stop();
  }

  endIteration(): void {
    this.#webSockets?.flush();
  }

  /**
   * Upgrades a request to a WebSocket, if it is a valid upgrade request whose handler has not responded yet.
   *
   * @returns whether it was upgraded; the handler's response is not sent then
   * @throws {TypeError} if the header fields in `options` are not valid
   */
  upgrade(request: Request, options: UpgradeOptions): boolean {
    const serverRequest = ServerRequest.of(request);
    const connection = ServerRequest.connectionOf(request);
    const webSockets = this.#webSockets;
    if (serverRequest === undefined || connection === undefined || webSockets === undefined) return false;
    if (this.#isStopping || connection.isFinished || ServerRequest.isUpgraded(serverRequest)) return false;
    const state = connection.protocolState as HttpState | undefined;
    const http = state instanceof HttpConnection ? state : undefined;
    const isFast = this.#fastPath.isHandling(serverRequest);
    if (!isFast && http?.isHandling(serverRequest) !== true) return false;
    const head = ServerRequest.headOf(serverRequest);
    const upgrade = webSockets.prepare(head, this.#context.date.line, options);
    if ("isFinal" in upgrade) {
      ServerRequest.setUpgradeFailure(serverRequest, upgrade);
      return false;
    }
    if (!ServerRequest.isComplete(serverRequest)) return false;
    ServerRequest.setUpgraded(serverRequest);
    if (isFast) this.#fastPath.writeBatch(connection);
    this.#context.application.reportRequest(connection, head, "", 101);
    const open = (): UpgradedState => webSockets.open(connection, upgrade, options.data);
    if (http === undefined) open();
    else http.upgrade(open);
    return true;
  }

  failBlockedRequests(): boolean {
    const { waiting } = this.#context;
    if (waiting.size === 0) return false;
    const connections = [...waiting];
    waiting.clear(); // a connection that waits for its peer is added again by the peer's next event
    let hasFailed = false;
    for (const connection of connections) hasFailed = connection.failBlockedRequests() || hasFailed;
    return hasFailed;
  }

  /** Returns the state of a connection. The fast path may have upgraded it. */
  #stateOf(connection: ProtocolConnection): HttpState {
    return (connection.protocolState as HttpState | undefined) ?? this.#httpConnection(connection);
  }

  #httpConnection(connection: ProtocolConnection): HttpConnection {
    const state = connection.protocolState as HttpConnection | undefined;
    if (state !== undefined) return state;
    const created = new HttpConnection(connection, this.#context, this.#fastPath, this.#handlers);
    connection.protocolState = created;
    return created;
  }
}
