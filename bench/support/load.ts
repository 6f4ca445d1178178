// Load generation with wrk, or with ab for HTTP/1.0. Each run ends after a fixed time.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Contender } from "./contender.ts";
import { scratch } from "./scratch.ts";
import { traffic, type TrafficName, UNIQUE } from "./traffic.ts";

/** The figures of one run. */
export interface Figures {
  requests: number;
  perSecond: number;
  /** Processor time of the server per request, in µs. */
  cpuUs: number;
  userUs: number;
  systemUs: number;
  p50Us: number;
  p99Us: number;
  residentBytes: number;
}

export interface Load {
  connections: number;
  pipelined?: number;
  /** Opens a connection for each request: HTTP/1.1 with `Connection: close`. */
  closes?: boolean;
  /** Uses HTTP/1.0 with a connection for each request, through ab, for a server whose responses wrk rejects. */
  isHttp10?: boolean;
  /** Sends realistic requests, each of them once. Otherwise all requests are identical. */
  traffic?: TrafficName;
  /** Sends a body of this size with POST. */
  uploadBytes?: number;
}

/** Loads the server for the given time. */
export async function load(server: Contender, load: Load, seconds: number): Promise<Figures> {
  const before = server.usage;
  const { requests, perSecond, p50Us, p99Us } = load.isHttp10
    ? await ab(server, load, seconds)
    : await wrk(server, load, seconds);
  const after = server.usage;
  const us = after.us - before.us;
  const userUs = Math.min(us, after.userUs - before.userUs);
  return {
    requests,
    perSecond,
    p50Us,
    p99Us,
    cpuUs: us / requests,
    userUs: userUs / requests,
    systemUs: (us - userUs) / requests,
    residentBytes: server.residentBytes,
  };
}

/** Loads a URL for the given time, and returns the number of requests. */
export async function requestsOf(url: string, load: Load, seconds: number): Promise<number> {
  return (await wrk({ url: url.replace(/\/$/, ""), name: url }, load, seconds)).requests;
}

type ClientFigures = Pick<Figures, "requests" | "perSecond" | "p50Us" | "p99Us">;

async function wrk(server: Pick<Contender, "url" | "name">, load: Load, seconds: number): Promise<ClientFigures> {
  const { connections, closes = false } = load;
  const script = scriptOf(load);
  const text = await output([
    "wrk",
    "-t1",
    `-c${connections}`,
    `-d${seconds}s`,
    "--latency",
    ...(closes ? ["-H", "Connection: close"] : []),
    ...(script === undefined ? [] : ["-s", script]),
    "--timeout",
    "30s", // wrk counts slower responses as errors, though not the server but the machine may be slow
    `${server.url}/`,
  ]);
  // With one request per connection, wrk counts the end of a response without `Connection: close` as a read error.
  const faults = closes
    ? /Non-2xx|Socket errors: (?!connect 0, read \d+, write 0, timeout 0)/
    : /Non-2xx|Socket errors/;
  if (faults.test(text)) throw new Error(`wrk reports errors from ${server.name}:\n${text}`);
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1]),
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    p50Us: micros(/50%\s+(\S+)/.exec(text)?.[1]),
    p99Us: micros(/99%\s+(\S+)/.exec(text)?.[1]),
  };
}

/** Writes the Lua script with which wrk creates the requests, and returns its path. */
function scriptOf({ pipelined = 1, traffic, uploadBytes }: Load): string | undefined {
  if (traffic !== undefined) {
    const requests = recorded(traffic);
    return scriptFile(traffic, REPLAY.replace("REQUESTS", requests).replace("DIGITS", String(UNIQUE.length)));
  }
  if (uploadBytes !== undefined) {
    return scriptFile("upload", `wrk.method = "POST"\nwrk.body = string.rep("x", ${uploadBytes})\n`);
  }
  if (pipelined === 1) return undefined;
  const source = `local all\nfunction init() all = string.rep(wrk.format(), ${pipelined}) end\nfunction request() return all end\n`;
  return scriptFile(`pipelined-${pipelined}`, source);
}

function scriptFile(name: string, source: string): string {
  const file = join(scratch, `${name}.lua`);
  writeFileSync(file, source);
  return file;
}

/** Replays the requests of a file in order, each time with the next number in its place. The clock makes runs differ. */
const REPLAY = `
local heads, tails, count, sent = {}, {}, 0, 0
function init()
  local file = assert(io.open("REQUESTS", "rb"))
  while true do
    local head, tail = file:read("*n", "*n")
    if not head then break end
    file:read(1)
    count = count + 1
    heads[count], tails[count] = file:read(head), file:read(tail)
  end
  file:close()
end
local start = os.time() * 1e6
local format = string.format
function request()
  local n = sent % count + 1
  sent = sent + 1
  return heads[n] .. format("%0DIGITSx", start + sent) .. tails[n]
end
`;

/** Writes the requests to a file: for each, the lengths of the bytes before and after the unique number, and the bytes. */
function recorded(name: TrafficName): string {
  const file = join(scratch, `${name}.requests`);
  if (existsSync(file)) return file;
  const records = traffic(name).map((request) => {
    const [head = "", tail = ""] = request.split(UNIQUE);
    return `${head.length} ${tail.length}\n${head}${tail}`;
  });
  writeFileSync(file, records.join("\n"), "latin1");
  return file;
}

async function ab(server: Contender, { connections }: Load, seconds: number): Promise<ClientFigures> {
  const text = await output([
    "ab",
    "-q",
    "-c",
    String(connections),
    "-t",
    String(seconds),
    "-n",
    "1000000",
    `${server.url}/`,
  ]);
  const [, failed = "0"] = /Failed requests:\s+(\d+)/.exec(text) ?? [];
  if (Number(failed) > 0) throw new Error(`ab reports errors from ${server.name}:\n${text}`);
  return {
    requests: Number(/Complete requests:\s+(\d+)/.exec(text)?.[1]),
    perSecond: Number(/Requests per second:\s+([\d.]+)/.exec(text)?.[1]),
    p50Us: 1000 * Number(/ 50%\s+(\d+)/.exec(text)?.[1]),
    p99Us: 1000 * Number(/ 99%\s+(\d+)/.exec(text)?.[1]),
  };
}

async function output(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [text, errors, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`${command.join(" ")}: ${errors}`);
  return text;
}

/** Parses a time such as `"1.23ms"`. */
function micros(text = ""): number {
  const [, value, unit] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? [];
  return Number(value) * ({ us: 1, ms: 1000, s: 1_000_000 }[unit ?? "us"] ?? 1);
}
