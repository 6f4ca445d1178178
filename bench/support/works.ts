// The works of the HTTP measure: what is asked for, of whom, and which ratios are promised.

import type { Kind } from "../servers/handler.ts";
import { type RecipeName, recipes } from "./contender.ts";
import { BROWSER_HEADERS, type Load } from "./load.ts";

/** One server, serving one kind of reply. */
export interface Entry {
  recipe: RecipeName;
  kind: Kind;
  /** Without the idle connections of the work. */
  isAlone?: boolean;
}

/** Our cost divided by another's; at most so much. */
export interface Promised {
  ours: string;
  theirs: string;
  of: "cpuUs" | "userUs";
  atMost: number;
}

export interface Work {
  id: string;
  title: string;
  load: Load;
  /** Connections that are open beside, and silent. */
  idle?: number;
  /** Each round against new processes. */
  isFresh?: boolean;
  /** It is in the chart. */
  isPictured?: boolean;
  entries: Entry[];
  promises?: Promised[];
}

/** How an entry is called in a table. */
export function label({ recipe, kind, isAlone }: Entry): string {
  const { name } = recipes[recipe];
  if (isAlone) return `${name}, without them`;
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
const cpu = (theirs: string, atMost: number, mine = "EpollServer.run()"): Promised => ({
  ours: mine,
  theirs,
  of: "cpuUs",
  atMost,
});

export const works: Work[] = [
  {
    id: "keep-alive-64",
    title: "keep-alive, 64 connections",
    isPictured: true,
    load: { connections: 64 },
    entries: all,
    promises: [
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
    promises: [cpu("Bun.serve, static", 0.75), cpu("Bun.serve, fetch", 0.1)],
  },
  {
    id: "one-request",
    title: "one request per connection (Connection: close), 20 at a time",
    isPictured: true,
    load: { connections: 20, closes: true },
    entries: [...some, entry("bunServe", "fetch")],
    promises: [cpu("Bun.serve, static", 1)],
  },
  {
    id: "document",
    title: "one request per connection (HTTP/1.0), 20 at a time, new processes",
    load: { connections: 20, isOld: true },
    isFresh: true,
    entries: [entry("run"), entry("start"), entry("reference"), entry("document")],
    promises: [cpu("the document's program", 0.75)],
  },
  {
    id: "browser",
    title: "keep-alive, 64 connections, a browser's request of 700 bytes",
    load: { connections: 64, headers: BROWSER_HEADERS },
    entries: some,
  },
  {
    id: "varied",
    title: "keep-alive, 64 connections, each head another (X-Request-Id)",
    load: { connections: 64, isVaried: true },
    entries: [...some, entry("run", "fetch"), entry("bunServe", "fetch")],
  },
  {
    id: "idle-10000",
    title: "keep-alive, 64 connections among 10,000 idle ones",
    load: { connections: 64 },
    idle: 10_000,
    entries: [...some, { ...entry("run"), isAlone: true }, { ...entry("start"), isAlone: true }],
    promises: [
      cpu("EpollServer.run(), without them", 1.05),
      cpu("EpollServer.start(), without them", 1.05, "EpollServer.start()"),
    ],
  },
  {
    id: "large",
    title: "keep-alive, 16 connections, replies of 1 MB",
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
