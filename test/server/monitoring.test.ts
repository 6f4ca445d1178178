// The options health and metrics: the paths, what they respond with, and that the application's requests are measured.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions } from "../../src/index.ts";
import { leavesNoFd } from "../support/fds.ts";
import { FetchHarness, parseResponses } from "../support/fetch-harness.ts";
import { ServerHarness } from "../support/server.ts";

setDefaultTimeout(60_000);

/** The samples of a text in Prometheus' format, by name and labels. */
function samplesOf(text: string): Record<string, number> {
  const samples: Record<string, number> = {};
  let family = "";
  for (const line of text.trimEnd().split("\n")) {
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? [];
    if (keyword === "TYPE") expect(["counter", "gauge", "histogram"]).toContain(rest);
    if (keyword !== undefined) {
      family = name;
      continue;
    }
    const [, key = "", value = ""] =
      /^([a-z_]+(?:\{[a-zA-Z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-zA-Z_]+="(?:[^"\\\n]|\\[\\"n])*")*\})?) (\S+)$/.exec(
        line,
      ) ?? [];
    expect(key).toStartWith(family);
    expect(samples).not.toHaveProperty([key]);
    samples[key] = Number(value);
    expect(samples[key]).not.toBeNaN();
  }
  return samples;
}

const metricsOf = async (harness: FetchHarness): Promise<Record<string, number>> =>
  samplesOf((await harness.ask("GET /metrics HTTP/1.1")).body);

const METRICS: EpollServerOptions = { metrics: "/metrics" };

describe("health", () => {
  test("responds with 200, for GET and HEAD, with and without a handler", () =>
    leavesNoFd(async () => {
      const calls: string[] = [];
      const handler = (request: Request): Response => {
        calls.push(request.url);
        return new Response("app");
      };
      for (const fetch of [handler, undefined]) {
        using harness = new FetchHarness(fetch, { health: "/healthz" });
        const { status, headers, body } = await harness.ask("GET /healthz?x HTTP/1.1");
        expect([status, body, headers["cache-control"]]).toEqual([200, "ok\n", "no-store"]);
        const head = harness.client("HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        expect(parseResponses(await harness.rest(head), true)[0]?.headers["content-length"]).toBe("3");
        expect(await harness.ask("POST /healthz HTTP/1.1\r\nContent-Length: 0")).toMatchObject({
          status: 405,
          headers: { allow: "GET, HEAD" },
        });
        for (const other of ["/", "/healthz/", "/healthzz", "/a/healthz", "/?/healthz", "//healthz"]) {
          expect((await harness.ask(`GET ${other} HTTP/1.1`)).body).not.toBe("ok\n");
        }
      }
      expect(calls).toHaveLength(6);
    }));

  test("responds with 503 once the server begins to stop", () =>
    leavesNoFd(async () => {
      using harness = new FetchHarness(() => new Response("app"), { health: "/healthz" });
      const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await harness.text(client, /app$/);
      const stopped = harness.server.stop({ idleMs: 5000 });
      client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
      expect(await harness.rest(client)).toMatch(/^HTTP\/1\.1 503 [^]*\r\n\r\nstopping\n$/);
      client.close();
      await harness.until(() => harness.server.closed);
      await stopped;
    }));

  test("the static response is the same as without it", () =>
    leavesNoFd(async () => {
      for (const response of [
        "text",
        new Uint8Array([1, 2]),
        { status: 201, headers: { "X-A": "b" }, body: "created" },
        { headers: { "content-type": "a/b" }, body: "typed" },
        { status: 204 },
      ]) {
        const [own, plain] = [{ health: "/healthz", response }, { response }].map((options) => {
          using harness = new ServerHarness(options);
          const client = harness.client("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
          const [answer] = parseResponses(harness.receive(client, /\r\n\r\n.*$/));
          return answer;
        });
        if (response instanceof Uint8Array) delete own?.headers["content-type"];
        expect(own?.headers["content-type"]?.replace("; ", ";")).toBe(
          plain?.headers["content-type"]?.replace("; ", ";"),
        );
        expect([own?.status, own?.body, own?.headers["x-a"], own?.headers["content-length"]]).toEqual([
          plain?.status,
          plain?.body,
          plain?.headers["x-a"],
          plain?.headers["content-length"],
        ]);
      }
    }));
});

describe("metrics", () => {
  test("count requests by status, and rejections by reason", () =>
    leavesNoFd(async () => {
      const seen: number[] = [];
      const handler = (request: Request): Response => {
        const status = Number(new URL(request.url).pathname.slice(1));
        if (status === 0) throw new Error("expected");
        return new Response(null, { status });
      };
      using harness = new FetchHarness(handler, {
        ...METRICS,
        onRequest: ({ status }) => void seen.push(status),
        onError() {},
      });
      for (const status of [200, 204, 301, 404, 0, 503]) await harness.ask(`GET /${status} HTTP/1.1`);
      await harness.ask("GET / HTTP/9.9");
      await harness.ask("BREW / HTTP/1.1");
      const samples = await metricsOf(harness);
      expect(samples).toMatchObject({
        'epoll_hello_http_requests_total{status="2xx"}': 2,
        'epoll_hello_http_requests_total{status="3xx"}': 1,
        'epoll_hello_http_requests_total{status="4xx"}': 1,
        'epoll_hello_http_requests_total{status="5xx"}': 4,
        'epoll_hello_rejections_total{reason="version-not-supported"}': 1,
        'epoll_hello_rejections_total{reason="not-implemented"}': 1,
        'epoll_hello_rejections_total{reason="bad-request"}': 0,
        epoll_hello_http_request_duration_seconds_count: 6,
        epoll_hello_connections_accepted_total: 9,
      });
      expect(seen).toEqual([200, 204, 301, 404, 500, 503, 505, 501, 200]);
      expect((await metricsOf(harness))['epoll_hello_http_requests_total{status="2xx"}']).toBe(3); // the first of the two
    }));

  test("have a histogram of the time that handlers take", () =>
    leavesNoFd(async () => {
      const responses: PromiseWithResolvers<Response>[] = [];
      using harness = new FetchHarness(() => {
        const pending = Promise.withResolvers<Response>();
        responses.push(pending);
        return pending.promise;
      }, METRICS);
      const clients = [harness.client(), harness.client()];
      for (const client of clients) client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await harness.until(() => responses.length === 2);
      const startedMs = performance.now();
      while (performance.now() < startedMs + 30) await new Promise((resolve) => setImmediate(resolve));
      expect((await metricsOf(harness))["epoll_hello_http_request_duration_seconds_count"]).toBe(0);
      responses[0]?.resolve(new Response("a"));
      responses[1]?.reject(new Error("expected"));
      for (const client of clients) await harness.rest(client);
      const samples = await metricsOf(harness);
      const bucket = (bound: string): number =>
        samples[`epoll_hello_http_request_duration_seconds_bucket{le="${bound}"}`] as number;
      expect([bucket("0.025"), bucket("+Inf")]).toEqual([0, 2]);
      expect(samples["epoll_hello_http_request_duration_seconds_sum"]).toBeGreaterThan(0.06);
      const bounds = Object.keys(samples).filter((key) => key.includes("_bucket"));
      const counts = bounds.map((key) => samples[key] as number);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(bounds).toHaveLength(15);
    }));

  test("have the connections by state, bytes, and buffered bytes", () =>
    leavesNoFd(async () => {
      using harness = new FetchHarness(
        (request) => (request.url.endsWith("/wait") ? new Promise<Response>(() => {}) : new Response("x")),
        {
          ...METRICS,
          deferAccept: false,
        },
      );
      harness.client();
      harness.client("GET / HT");
      await harness.text(harness.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), /x$/);
      harness.client("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
      harness.client("POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
      await harness.until(() => harness.server.stats.requests === 3);
      await harness.idle();
      const { bytesIn } = harness.server.stats;
      const samples = await metricsOf(harness);
      const states = ["new", "head", "body", "handler", "idle"].map(
        (state) => samples[`epoll_hello_connections{state="${state}"}`],
      );
      expect(states[0]).toBeGreaterThanOrEqual(1); // one is that of the scrape
      expect(states.slice(1)).toEqual([1, 1, 1, 1]);
      expect(samples["epoll_hello_received_bytes_total"]).toBeGreaterThan(bytesIn);
      expect(samples["epoll_hello_sent_bytes_total"]).toBeGreaterThan("HTTP/1.1 200 OK".length);
      expect(samples["epoll_hello_buffered_bytes"]).toBe(3);
    }));

  test("count pauses of accepting", () =>
    leavesNoFd(async () => {
      using harness = new FetchHarness(() => new Response("x"), { ...METRICS, maxConnections: 2 });
      const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
      const first = harness.client(get);
      await harness.text(first, /x$/);
      const second = harness.client(get);
      await harness.text(second, /x$/);
      const third = harness.client(get);
      await harness.idle();
      second.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
      const text = await harness.text(second, /buffered_bytes \d+\n$/);
      expect(text).toContain("\nepoll_hello_accept_paused 1\n");
      expect(text).toContain("\nepoll_hello_accept_pauses_total 1\n");
      first.close();
      await harness.text(third, /x$/);
    }));

  test("have the labels of the option, escaped", async () => {
    using harness = new FetchHarness(() => new Response("x"), {
      metrics: { path: "/m", labels: { worker: '1 "\\\n', b: "c" } },
    });
    const { headers, body } = await harness.ask("GET /m HTTP/1.1");
    expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(body).toContain('\nepoll_hello_sent_bytes_total{worker="1 \\"\\\\\\n",b="c"} ');
    expect(body).toContain('{worker="1 \\"\\\\\\n",b="c",status="2xx"} 0\n');
    samplesOf(body);
  });

  const promtool = Bun.which("promtool");

  // promtool is in the Debian package prometheus.
  test.skipIf(promtool === null)("are accepted by promtool, without a complaint", async () => {
    using harness = new FetchHarness(() => new Response("x"), { ...METRICS, health: "/healthz" });
    await harness.ask("GET / HTTP/1.1");
    const { body } = await harness.ask("GET /metrics HTTP/1.1");
    const child = Bun.spawn([promtool as string, "check", "metrics"], {
      stdin: Buffer.from(body),
      stdout: "pipe",
      stderr: "pipe",
    });
    const output = [await child.stdout.text(), await child.stderr.text(), await child.exited];
    expect(output).toEqual(["", "", 0]);
  });
});

test("wrong values are rejected by name", () =>
  leavesNoFd(() => {
    for (const [options, message] of [
      [{ health: 1 }, /health.*a path/],
      [{ health: "healthz" }, /health is "healthz"; it must be a path/],
      [{ health: "/a?b" }, /without a query/],
      [{ health: "/a/../b" }, /health is/],
      [{ health: "/ä" }, /health is/],
      [{ metrics: true }, /metrics/],
      [{ metrics: {} }, /metrics\.path/],
      [{ metrics: { path: "/m", label: {} } }, /unknown properties: label/],
      [{ metrics: { path: "/m", labels: { "a-b": "c" } } }, /"a-b"/],
      [{ metrics: { path: "/m", labels: { __a: "c" } } }, /"__a"/],
      [{ metrics: { path: "/m", labels: { a: 1 } } }, /metrics\.labels\.a/],
      [{ health: "/a", metrics: "/a" }, /both are "\/a"/],
      [{ health: "/a", socket: { data() {} } }, /socket.*health/],
      [{ metrics: "/a", keepAlive: false, eager: false }, /metrics/],
    ] as const) {
      expect(() => new EpollServer(options as never)).toThrow(message);
    }
  }));
