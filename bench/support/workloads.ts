// The workloads of the HTTP benchmark: load, servers, and target ratios. Realistic traffic comes first, identical requests last.

import type { Kind } from "../servers/handler.ts";
import { type RecipeName, recipes } from "./contender.ts";
import type { Load } from "./load.ts";

/** One server, with one kind of response. */
export interface Entry {
  recipe: RecipeName;
  kind: Kind;
  /** Leaves out the workload's idle connections. */
  hasNoIdle?: boolean;
}

/** The upper limit for the ratio of a figure of ours to another server's. */
export interface TargetRatio {
  ours: string;
  theirs: string;
  of: "cpuUs" | "userUs" | "p50Us" | "p99Us";
  atMost: number;
}

/** What a ratio compares, for reports. The processor time needs no note. */
export const NOTES: Readonly<Record<TargetRatio["of"], string>> = {
  cpuUs: "",
  userUs: ", user CPU only",
  p50Us: ", median latency",
  p99Us: ", 99th percentile of latency",
};

export interface Workload {
  id: string;
  title: string;
  load: Load;
  /** The seconds of a round, for figures that need longer ones. */
  seconds?: number;
  /** Additional connections that stay open and idle. */
  idle?: number;
  /** Starts new server processes in each round. */
  isFresh?: boolean;
  /** Whether the chart shows it. */
  isPictured?: boolean;
  entries: Entry[];
  targets?: TargetRatio[];
}

/** Appended to the names of servers that are measured without the idle connections. */
export const WITHOUT_IDLE = ", without idle connections";

/** Returns the name of an entry in tables. The kind of response is part of it only where a workload compares several. */
export function label({ recipe, kind, hasNoIdle }: Entry): string {
  const { name } = recipes[recipe];
  if (hasNoIdle) return `${name}${WITHOUT_IDLE}`;
  if (kind === "fetch") return `${name}, fetch`;
  return recipe === "bunServe" && kind === "static" ? `${name}, static` : name;
}

const entry = (recipe: RecipeName, kind: Kind = "static"): Entry => ({ recipe, kind });
/** The servers that run handlers. */
const handled = (kind: Kind): Entry[] => [entry("run", kind), entry("start", kind), entry("bunServe", kind)];
const some = [entry("run"), entry("start"), entry("reference"), entry("nginx"), entry("bunServe")];
const node = [entry("nodeOnBun"), entry("nodeOnNode")];
const all = [...some, ...handled("fetch"), ...node];

const RUN = "EpollServer.run()";
const START = "EpollServer.start()";
const BUN = "Bun.serve";
const BUN_STATIC = "Bun.serve, static";
const cpu = (theirs: string, atMost: number, ours = RUN): TargetRatio => ({ ours, theirs, of: "cpuUs", atMost });
/** The same limit for both ways of running the server. */
const both = (theirs: string, atMost: number): TargetRatio[] => [cpu(theirs, atMost), cpu(theirs, atMost, START)];

const realistic: Workload[] = [
  {
    id: "real-static",
    title: "realistic requests, a static response",
    isPictured: true,
    load: { connections: 64, traffic: "pages" },
    entries: [...some, ...node],
    targets: [cpu(BUN_STATIC, 0.95), cpu(RUN, 1.05, START)],
  },
  {
    id: "real-json",
    title: "realistic requests, JSON from a handler",
    isPictured: true,
    load: { connections: 64, traffic: "pages" },
    entries: handled("json"),
    targets: [cpu(BUN, 0.85), cpu(RUN, 1.05, START)],
  },
  {
    id: "real-json-async",
    title: "realistic requests, JSON from an async handler",
    isPictured: true,
    load: { connections: 64, traffic: "pages" },
    entries: handled("jsonAsync"),
    targets: [cpu(BUN, 0.85), cpu(RUN, 1.05, START)],
  },
  {
    id: "real-router",
    title: "realistic requests, an app on Hono",
    isPictured: true,
    load: { connections: 64, traffic: "api" },
    entries: handled("router"),
    targets: [cpu(BUN, 1), cpu(RUN, 1.05, START)],
  },
  {
    id: "real-upload",
    title: "realistic requests, forms of 2 to 20 KB",
    isPictured: true,
    load: { connections: 64, traffic: "forms" },
    entries: handled("form"),
    targets: [cpu(BUN, 1), cpu(RUN, 1.05, START)],
  },
];

const fewConnections = Object.entries({ one: 1, two: 2, four: 4, sixteen: 16 }).map(([id, connections]): Workload => ({
  id,
  title: `realistic requests, JSON from a handler, ${id} connection${connections > 1 ? "s" : ""}`,
  load: { connections, traffic: "pages" },
  entries: handled("json"),
  targets: (["cpuUs", "p50Us", "p99Us"] as const).map((of) => ({ ...cpu(BUN, 1.1, START), of })),
}));

const bodies: Workload[] = [
  {
    id: "large-static",
    title: "static responses of 1 MB, 16 connections",
    load: { connections: 16 },
    entries: [...handled("large"), entry("reference", "large")],
    targets: both(BUN, 1),
  },
  {
    id: "large-fetch",
    title: "responses of 1 MB from a handler, 16 connections",
    load: { connections: 16 },
    entries: handled("largeFetch"),
    targets: both(BUN, 1),
  },
  {
    id: "stream",
    title: "streamed responses of 1 MB, 16 connections",
    load: { connections: 16 },
    entries: handled("stream"),
    targets: both(BUN, 1),
  },
  {
    id: "large-upload",
    title: "uploads of 1 MB, 16 connections",
    load: { connections: 16, uploadBytes: 1_048_576 },
    entries: handled("upload"),
    targets: both(BUN, 1),
  },
];

const identical: Workload[] = [
  {
    id: "keep-alive-64",
    title: "identical requests",
    seconds: 8, // user time is counted in ticks of 10 ms
    isPictured: true,
    load: { connections: 64 },
    entries: all,
    targets: [
      cpu("C reference", 1.05),
      cpu(BUN_STATIC, 0.95),
      { ...cpu(BUN_STATIC, 0.45), of: "userUs" },
      cpu(RUN, 1.12, START),
      cpu("Bun.serve, fetch", 0.85, "EpollServer.run(), fetch"),
    ],
  },
  {
    id: "keep-alive-1",
    title: "identical requests, one connection",
    load: { connections: 1 },
    entries: some,
  },
  {
    id: "keep-alive-512",
    title: "identical requests, 512 connections",
    load: { connections: 512 },
    entries: some,
  },
  {
    id: "pipelined-16",
    title: "identical requests, pipelined 16",
    isPictured: true,
    load: { connections: 64, pipelined: 16 },
    entries: all,
    targets: [cpu(BUN_STATIC, 0.6), cpu("Bun.serve, fetch", 0.1)],
  },
  {
    id: "async",
    title: "identical requests, an async handler",
    load: { connections: 64 },
    entries: handled("async"),
  },
  {
    id: "one-request",
    title: "identical requests, one per connection (Connection: close), 20 at a time",
    isPictured: true,
    load: { connections: 20, closes: true },
    entries: [...some, entry("bunServe", "fetch")],
    targets: [cpu(BUN_STATIC, 1)],
  },
  {
    id: "original",
    title: "identical requests, one per connection (HTTP/1.0), 20 at a time, new processes",
    load: { connections: 20, isHttp10: true },
    isFresh: true,
    entries: [entry("run"), entry("start"), entry("reference"), entry("original")],
    targets: [cpu("original Python server", 0.75)],
  },
  {
    id: "idle-10000",
    title: "identical requests, 10,000 more connections idle",
    load: { connections: 64 },
    idle: 10_000,
    entries: [...some, { ...entry("run"), hasNoIdle: true }, { ...entry("start"), hasNoIdle: true }],
    targets: [cpu(`${RUN}${WITHOUT_IDLE}`, 1.05), cpu(`${START}${WITHOUT_IDLE}`, 1.05, START)],
  },
  {
    id: "traced",
    title: "identical requests, with and without a trace",
    load: { connections: 64 },
    entries: [entry("run"), entry("traced")],
  },
];

/** Unless a title says otherwise, the load has 64 connections that are kept alive. */
export const workloads: Workload[] = [...realistic, ...fewConnections, ...bodies, ...identical];
