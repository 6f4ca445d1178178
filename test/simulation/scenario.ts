// What a simulated run consists of, as plain data: fast-check generates it, and shrinks one that fails.

import fc from "fast-check";
import { type FramePlan, KINDS, type RequestPlan } from "./requests.ts";

/** How often calls fail, and events are late or not true: in 1000 cases. */
export interface Weather {
  eagain: number;
  eintr: number;
  /** recv and send transfer less than they could. */
  short: number;
  /** recv and send fail: ECONNRESET, ETIMEDOUT, ENOBUFS, ENOMEM, EPIPE. */
  broken: number;
  /** accept4 fails: EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO, EAGAIN. */
  accept: number;
  /** epoll_ctl fails: ENOMEM, ENOSPC. */
  control: number;
  late: number;
  spurious: number;
}

export interface ClientPlan {
  startMs: number;
  requests: RequestPlan[];
  /** Follow an upgrade to a WebSocket. */
  frames: FramePlan[];
  /** Bytes per turn; 0: never reads. */
  readBytes: number;
  sendBytes: number;
  /** Milliseconds between two turns. */
  everyMs: number;
  /** How the client ends. `stays`: not at all. */
  end: "close" | "reset" | "shutdown" | "stays";
  /** When it ends: after all replies, at a time, or when it has sent a part of its stream (in 1000). */
  when: "done" | { afterMs: number } | { afterSent: number };
  /** Waits for `100 Continue`, and sends nothing after a reply that closes the connection. */
  isPolite: boolean;
  proxy: "none" | "v1" | "v2" | "invalid";
}

export interface Scenario {
  seed: number;
  mode: "static" | "fetch";
  isEager: boolean;
  keepAlive: boolean;
  deferAccept: boolean;
  proxyProtocol: boolean;
  sendBytes: number;
  receiveBytes: number;
  maxConnections: number;
  fdLimit: number;
  weather: Weather;
  clients: ClientPlan[];
  /** When the server is stopped, and how long it may take. */
  stopAfterMs: number;
  graceMs: number;
}

const kind = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("get" as const, "async" as const) },
  { weight: 4, arbitrary: fc.constantFrom(...KINDS) },
);
const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 5000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 10_000, max: 80_000 }) },
);
const delayMs = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 50 }) },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 4000 }) },
);
const request: fc.Arbitrary<RequestPlan> = fc.record({
  kind,
  size,
  delayMs,
  pieces: fc.integer({ min: 1, max: 5 }),
  waits: fc.boolean(),
});
const frames: fc.Arbitrary<FramePlan[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("text" as const, "binary", "fragmented", "ping", "ping", "close", "invalid"),
    size: fc.integer({ min: 0, max: 2000 }),
  }),
  { maxLength: 8, size: "max" },
);
const perTurn = fc.oneof(
  { weight: 1, arbitrary: fc.constant(1) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 100 }) },
  { weight: 4, arbitrary: fc.integer({ min: 100, max: 20_000 }) },
);
const client: fc.Arbitrary<ClientPlan> = fc.record({
  startMs: fc.integer({ min: 0, max: 3000 }),
  requests: fc.array(request, { maxLength: 12, size: "max" }),
  frames,
  readBytes: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 9, arbitrary: perTurn }),
  sendBytes: perTurn,
  everyMs: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 200 })),
  end: fc.constantFrom("close", "reset", "shutdown", "stays"),
  when: fc.oneof<fc.Arbitrary<ClientPlan["when"]>[]>(
    fc.constant("done" as const),
    fc.record({ afterMs: fc.integer({ min: 0, max: 3000 }) }),
    fc.record({ afterSent: fc.integer({ min: 0, max: 1000 }) }),
  ),
  isPolite: fc.boolean(),
  proxy: fc.constantFrom("v1", "v2", "v1", "v2", "invalid", "none"),
});

const rate = (max: number): fc.Arbitrary<number> => fc.oneof(fc.constant(0), fc.integer({ min: 0, max }));
const weather: fc.Arbitrary<Weather> = fc.record({
  eagain: rate(200),
  eintr: rate(100),
  short: rate(500),
  broken: rate(10),
  accept: rate(200),
  control: rate(10),
  late: rate(300),
  spurious: rate(200),
});

const queueBytes = fc.oneof(
  fc.integer({ min: 100, max: 2000 }),
  fc.integer({ min: 2000, max: 20_000 }),
  fc.constant(30_000),
);

export const scenarios: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.integer(),
  mode: fc.constantFrom("fetch", "fetch", "fetch", "static"),
  isEager: fc.constantFrom(true, true, true, false),
  keepAlive: fc.constantFrom(true, true, true, true, false),
  deferAccept: fc.boolean(),
  proxyProtocol: fc.constantFrom(false, false, false, true),
  sendBytes: queueBytes,
  receiveBytes: queueBytes,
  maxConnections: fc.constantFrom(Infinity, Infinity, 1, 3),
  fdLimit: fc.constantFrom(1024, 1024, 8, 10, 12),
  weather: fc.oneof(
    {
      weight: 1,
      arbitrary: fc.constant({ eagain: 0, eintr: 0, short: 0, broken: 0, accept: 0, control: 0, late: 0, spurious: 0 }),
    },
    { weight: 2, arbitrary: weather },
  ),
  clients: fc.array(client, { minLength: 1, maxLength: 14, size: "max" }),
  stopAfterMs: fc.oneof(fc.constant(12_000), fc.integer({ min: 100, max: 5000 })),
  graceMs: fc.constantFrom(0, 500, 5000),
});
