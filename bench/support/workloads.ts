// The workloads of the HTTP benchmark: load, servers, and target ratios.

import type { Kind } from "../servers/handler.ts";
import { type RecipeName, recipes } from "./contender.ts";
import { BROWSER_HEADERS, type Load } from "./load.ts";

/** One server, with one kind of response. */
export interface Entry {
  recipe: RecipeName;
  kind: Kind;
  /** Leaves out the workload's idle connections. */
  hasNoIdle?: boolean;
}

/** The upper limit for the ratio of our cost to another server's. */
export interface TargetRatio {
  ours: string;
  theirs: string;
  of: "cpuUs" | "userUs";
  atMost: number;
}

export interface Workload {
  id: string;
  title: string;
  load: Load;
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

/** Returns the name of an entry in tables. */
export function label({ recipe, kind, hasNoIdle }: Entry): string {
  const { name } = recipes[recipe];
  if (hasNoIdle) return `${name}${WITHOUT_IDLE}`;
  if (kind === "large") return name;
  const isHandled = kind === "fetch" || kind === "async";
  if (recipe === "bunServe") return isHandled ? `${name}, ${kind}` : `${name}, static`;
  if (recipe === "run" || recipe === "start") return isHandled ? `${name}, ${kind}` : name;
  return name;
}

const entry = (recipe: RecipeName, kind: Kind = "static"): Entry => ({ recipe, kind });
const ours = [entry("run"), entry("start")];
const all = [
  ...ours,
  entry("reference"),
  entry("nginx"),
  entry("bunServe"),
  entry("run", "fetch"),
  entry("start", "fetch"),
  entry("bunServe", "fetch"),
  entry("nodeOnBun"),
  entry("nodeOnNode"),
];
const some = [...ours, entry("reference"), entry("nginx"), entry("bunServe")];
const cpu = (theirs: string, atMost: number, mine = "EpollServer.run()"): TargetRatio => ({
  ours: mine,
  theirs,
  of: "cpuUs",
  atMost,
});

export const workloads: Workload[] = [
  {
    id: "keep-alive-64",
    title: "keep-alive, 64 connections",
    isPictured: true,
    load: { connections: 64 },
    entries: all,
    targets: [
      cpu("C reference", 1.08),
      cpu("Bun.serve, static", 0.95),
      { ...cpu("Bun.serve, static", 0.45), of: "userUs" },
      cpu("EpollServer.run()", 1.12, "EpollServer.start()"),
      cpu("Bun.serve, fetch", 0.85, "EpollServer.run(), fetch"),
    ],
  },
  { id: "keep-alive-1", title: "keep-alive, one connection", load: { connections: 1 }, entries: some },
  { id: "keep-alive-512", title: "keep-alive, 512 connections", load: { connections: 512 }, entries: some },
  {
    id: "pipelined-16",
    title: "keep-alive, 64 connections, pipelined 16",
    isPictured: true,
    load: { connections: 64, pipelined: 16 },
    entries: all,
    targets: [cpu("Bun.serve, static", 0.75), cpu("Bun.serve, fetch", 0.1)],
  },
  {
    id: "one-request",
    title: "one request per connection (Connection: close), 20 at a time",
    isPictured: true,
    load: { connections: 20, closes: true },
    entries: [...some, entry("bunServe", "fetch")],
    targets: [cpu("Bun.serve, static", 1)],
  },
  {
    id: "original",
    title: "one request per connection (HTTP/1.0), 20 at a time, new processes",
    load: { connections: 20, isHttp10: true },
    isFresh: true,
    entries: [entry("run"), entry("start"), entry("reference"), entry("original")],
    targets: [cpu("original Python server", 0.75)],
  },
  {
    id: "browser",
    title: "keep-alive, 64 connections, a browser's head of 700 bytes",
    load: { connections: 64, headers: BROWSER_HEADERS },
    entries: some,
  },
  {
    id: "varied",
    title: "keep-alive, 64 connections, all heads different (X-Request-Id)",
    load: { connections: 64, isVaried: true },
    entries: [...some, entry("run", "fetch"), entry("bunServe", "fetch")],
  },
  {
    id: "idle-10000",
    title: "keep-alive, 64 connections, 10,000 more idle",
    load: { connections: 64 },
    idle: 10_000,
    entries: [...some, { ...entry("run"), hasNoIdle: true }, { ...entry("start"), hasNoIdle: true }],
    targets: [
      cpu(`EpollServer.run()${WITHOUT_IDLE}`, 1.05),
      cpu(`EpollServer.start()${WITHOUT_IDLE}`, 1.05, "EpollServer.start()"),
    ],
  },
  {
    id: "large",
    title: "keep-alive, 16 connections, responses of 1 MB",
    load: { connections: 16 },
    entries: [entry("run", "large"), entry("start", "large"), entry("reference", "large"), entry("bunServe", "large")],
  },
  {
    id: "traced",
    title: "keep-alive, 64 connections, with and without a trace",
    load: { connections: 64 },
    entries: [entry("run"), entry("traced")],
  },
  {
    id: "async",
    title: "keep-alive, 64 connections, an async handler",
    load: { connections: 64 },
    entries: [entry("run", "async"), entry("start", "async"), entry("bunServe", "async")],
  },
];
