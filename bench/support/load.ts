// Load generation with wrk, or with ab for HTTP/1.0. Each run ends after a fixed time.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Contender } from "./contender.ts";

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
  /** Header lines in addition to those of wrk. */
  headers?: readonly string[];
  /** Gives each request its own X-Request-Id, as a proxy does, so that no head equals the previous one. */
  isVaried?: boolean;
}

/** The headers that a browser sends: 700 bytes. */
export const BROWSER_HEADERS: readonly string[] = [
  "Connection: keep-alive",
  'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  "Upgrade-Insecure-Requests: 1",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
  "Sec-Fetch-Site: none",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-User: ?1",
  "Sec-Fetch-Dest: document",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-US,en;q=0.9,de;q=0.8",
  "Cookie: session=0123456789abcdef0123456789abcdef",
];

const VARIED = `
local all, n = {}, 0
function init()
  for i = 1, 5000 do all[i] = wrk.format(nil, nil, { ["X-Request-Id"] = string.format("%08x-%08x", i * 7919, i * 104729) }) end
end
function request()
  n = n % 5000 + 1
  return all[n]
end
`;

const scripts = mkdtempSync(join(tmpdir(), "epoll-hello-load-"));
process.on("exit", () => rmSync(scripts, { recursive: true, force: true }));

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

type ClientFigures = Pick<Figures, "requests" | "perSecond" | "p50Us" | "p99Us">;

async function wrk(server: Contender, load: Load, seconds: number): Promise<ClientFigures> {
  const { connections, pipelined = 1, closes = false, headers = [] } = load;
  const headerFlags = [...headers, ...(closes ? ["Connection: close"] : [])].flatMap((line) => ["-H", line]);
  const source = load.isVaried
    ? VARIED
    : pipelined > 1
      ? `local all\nfunction init() all = string.rep(wrk.format(), ${pipelined}) end\nfunction request() return all end\n`
      : "";
  const script = join(scripts, `${Bun.hash(source)}.lua`);
  writeFileSync(script, source);
  const text = await output([
    "wrk",
    "-t1",
    `-c${connections}`,
    `-d${seconds}s`,
    "--latency",
    ...headerFlags,
    ...(source === "" ? [] : ["-s", script]),
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
