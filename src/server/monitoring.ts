// The health check and the metrics of a server, at the paths of the options `health` and `metrics`.

import { invalidType, invalidValue, unknownOptions } from "../kernel/errors.ts";
import type { RequestInfo } from "../protocols/http/request-info.ts";
import type { StaticResponse } from "../protocols/http/static-response.ts";
import type { TracedState } from "./connection-state.ts";
import { Histogram, type Labels, METRICS_TYPE, MetricsText } from "./prometheus.ts";
import type { ServerStats } from "./types.ts";
import type { MetricsOptions } from "./metrics-options.ts";

/** What is monitored. */
export interface MonitoredServer {
  readonly stats: ServerStats;
  readonly isStopping: boolean;
  /** How often accepting has paused, because a limit was reached or accept4 failed. */
  readonly acceptPauses: number;
  /** Whether it is paused now. */
  readonly isAcceptPaused: boolean;
  /** Bytes that wait in buffers: see `maxBufferedBytes`. */
  readonly bufferedBytes: number;
  /** The number of open connections in each state. */
  readonly states: Readonly<Record<TracedState, number>>;
}

type Handler = (request: Request) => unknown;

/** In seconds. */
const DURATION_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const FIELDS = { "Cache-Control": "no-store" };

/** Checks a path. @throws {TypeError} */
export function checkPath(name: string, value: unknown): void {
  if (typeof value !== "string") throw invalidType(name, "a path", value);
  if (!/^\/[\w!$&'()*+,;=:@~./-]*$/.test(value) || new URL(value, "http://a").pathname !== value) {
    throw invalidValue(`${name} is ${JSON.stringify(value)}; it must be a path without a query, such as "/${name}"`);
  }
}

/** Checks the option `metrics`. @throws {TypeError} */
export function checkMetrics(name: string, value: unknown): void {
  if (typeof value === "string") return checkPath(name, value);
  if (typeof value !== "object" || value === null)
    throw invalidType(name, "a path or an object { path, labels }", value);
  const unknown = Object.keys(value).filter((key) => key !== "path" && key !== "labels");
  if (unknown.length > 0) {
    throw unknownOptions(`${name} has unknown properties: ${unknown.join(", ")}; it takes path and labels`);
  }
  const { path, labels = {} } = value as { path?: unknown; labels?: unknown };
  checkPath(`${name}.path`, path);
  if (typeof labels !== "object" || labels === null) throw invalidType(`${name}.labels`, "an object", labels);
  for (const [label, text] of Object.entries(labels)) {
    if (!/^(?!__)[a-zA-Z_]\w*$/.test(label))
      throw invalidType(`a name in ${name}.labels`, "a label of Prometheus", label);
    if (typeof text !== "string") throw invalidType(`${name}.labels.${label}`, "a string", text);
  }
}

export class Monitoring {
  readonly #server: MonitoredServer;
  readonly #healthPath: string | undefined;
  readonly #metricsPath: string | undefined;
  readonly #labels: Labels;
  readonly #durations = new Histogram(DURATION_BOUNDS);
  readonly #statusClasses: Record<string, number> = { "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0 };

  constructor(server: MonitoredServer, health: string | undefined, metrics: string | MetricsOptions | undefined) {
    this.#server = server;
    this.#healthPath = health;
    this.#metricsPath = typeof metrics === "object" ? metrics.path : metrics;
    this.#labels = typeof metrics === "object" ? (metrics.labels ?? {}) : {};
  }

  /** Returns a handler that answers the requests to the two paths, and measures the others. */
  wrapHandler(handler: Handler): Handler {
    return (request) => {
      const own = this.#ownResponse(request);
      if (own !== undefined) return own;
      if (this.#metricsPath === undefined) return handler(request);
      const startedMs = performance.now();
      const observe = (): void => this.#durations.observe((performance.now() - startedMs) / 1000);
      let result: unknown;
      try {
        result = handler(request);
      } catch (error) {
        observe();
        throw error;
      }
      if (result instanceof Promise) result.then(observe, observe);
      else observe();
      return result;
    };
  }

  /** Returns an `onRequest` that counts statuses. */
  wrapOnRequest(onRequest: ((request: RequestInfo) => void) | undefined): (request: RequestInfo) => void {
    return (request) => {
      const statusClass = `${Math.floor(request.status / 100)}xx`;
      this.#statusClasses[statusClass] = (this.#statusClasses[statusClass] ?? 0) + 1;
      onRequest?.(request);
    };
  }

  #ownResponse(request: Request): Response | undefined {
    const path = pathOf(request.url);
    if (path !== this.#healthPath && path !== this.#metricsPath) return undefined;
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("This method is not allowed.\n", { status: 405, headers: { Allow: "GET, HEAD" } });
    }
    if (path === this.#metricsPath) {
      return new Response(this.#metricsText(), { headers: { ...FIELDS, "Content-Type": METRICS_TYPE } });
    }
    const { isStopping } = this.#server;
    return new Response(isStopping ? "stopping\n" : "ok\n", { status: isStopping ? 503 : 200, headers: FIELDS });
  }

  #metricsText(): string {
    const { stats, states, acceptPauses, isAcceptPaused, bufferedBytes } = this.#server;
    const text = new MetricsText(this.#labels);
    const name = (suffix: string): string => `epoll_hello_${suffix}`;
    text.byLabel(
      name("http_requests_total"),
      "counter",
      "Requests answered or rejected, by the class of the status.",
      "status",
      this.#statusClasses,
    );
    text.histogram(
      name("http_request_duration_seconds"),
      "Time from the call of the fetch handler until its Response, without the body.",
      this.#durations,
    );
    text.byLabel(
      name("rejections_total"),
      "counter",
      "Requests and connections that the server has rejected, by reason.",
      "reason",
      stats.rejectedBy,
    );
    text.byLabel(name("connections"), "gauge", "Open connections, by state.", "state", states);
    text.counter(name("connections_accepted_total"), "Connections accepted.", stats.accepted);
    text.counter(name("connection_errors_total"), "Connections that were reset, or lost by the network.", stats.errors);
    text.byLabel(name("tls_handshakes_total"), "counter", "TLS handshakes, by result.", "result", {
      completed: stats.handshakes,
      failed: stats.failedHandshakes,
    });
    text.counter(name("connection_timeouts_total"), "Connections on which a timeout expired.", stats.timeouts);
    text.counter(name("accept_pauses_total"), "Pauses of accepting, at a limit or after an error.", acceptPauses);
    text.gauge(name("accept_paused"), "1 while accepting is paused.", isAcceptPaused ? 1 : 0);
    text.counter(name("received_bytes_total"), "Bytes received.", stats.bytesIn);
    text.counter(name("sent_bytes_total"), "Bytes sent.", stats.bytesOut);
    text.gauge(name("buffered_bytes"), "Unsent output and unread request bodies.", bufferedBytes);
    return text.toString();
  }
}

/** Returns a handler that gives the same response to every request. */
export function staticHandler({ status = 200, headers = {}, body = "" }: StaticResponse): Handler {
  const hasType = Object.keys(headers).some((name) => name.toLowerCase() === "content-type");
  const isBodiless = status === 204 || status === 205 || status === 304;
  const isText = typeof body === "string" && !isBodiless;
  const type = isText && !hasType ? { "Content-Type": "text/plain; charset=utf-8" } : {};
  const content = isBodiless ? null : (body as string | Uint8Array<ArrayBuffer>);
  return () => new Response(content, { status, headers: { ...type, ...headers } });
}

/** Returns the path of a URL. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}
