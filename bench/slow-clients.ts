// Benchmark of a normal client's latency while 1500 slow clients are connected, for EpollServer and Bun.serve.
//
//   bun bench/slow-clients.ts [rounds]

import { Client } from "../test/support/client.ts";
import { Epoll, EPOLLRDHUP, ErrnoError, EPOLLIN, SO_RCVBUF, SOL_SOCKET } from "epoll-hello";
import { Contender, pinLoad, recipes } from "./support/contender.ts";
import { median, quantile } from "./support/numbers.ts";

/** Slow clients of each kind. */
const CLIENTS_PER_KIND = 500;
const REQUESTS = 3000;
const WARM_UP_REQUESTS = 15_000;
/** Before each request of the normal client, this many slow clients send their next byte. */
const SENDERS_PER_REQUEST = 5;
const REQUEST = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

interface SlowClient {
  client: Client;
  /** What it sends repeatedly. Undefined: it sends nothing more, and doesn't read its response. */
  nextBytes: string | undefined;
}

const kinds: { start: string; nextBytes?: string }[] = [
  { start: "GET /hello HTTP/1.1\r\nHost: a\r\nX: ", nextBytes: "a" },
  { start: "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", nextBytes: "a" },
  { start: "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" },
];

const rounds = Number(process.argv[2] ?? 5);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("usage: bun bench/slow-clients.ts [rounds, default: 5]");
  process.exit(2);
}
pinLoad();
using run = await Contender.start(recipes.run, "app");
using bun = await Contender.start(recipes.bunServe, "app");
const contenders = [run, bun];
const figures = contenders.map(() => ({ quiet: [] as number[][], loaded: [] as number[][] }));

for (const { name, address } of contenders) {
  process.stderr.write(`\r\x1b[Kwarming up: ${name}`);
  measureLatencies(address, REQUESTS);
  measureUnderLoad(address, WARM_UP_REQUESTS); // the JIT compiles on the server's core
}
for (let round = 1; round <= rounds; round++) {
  for (const [i, { name, address }] of contenders.entries()) {
    process.stderr.write(`\r\x1b[Kround ${round} of ${rounds}: ${name}`);
    figures[i]?.quiet.push(measureLatencies(address, REQUESTS));
    figures[i]?.loaded.push(measureUnderLoad(address));
  }
}
process.stderr.write("\r\x1b[K");

console.log(
  `${CLIENTS_PER_KIND} slow heads, ${CLIENTS_PER_KIND} slow bodies, ${CLIENTS_PER_KIND} slow readers; medians of ${rounds} rounds, µs\n`,
);
console.log("server              quiet p50    p99 loaded p50    p99 p50 loaded ÷ quiet    p99");
for (const [i, { name }] of contenders.entries()) {
  const { quiet = [], loaded = [] } = figures[i] ?? {};
  const [quiet50, quiet99, loaded50, loaded99] = [quiet, loaded].flatMap((rows) =>
    [0.5, 0.99].map((share) => median(rows.map((row) => quantile(row, share)))),
  );
  const ratio = (share: number): string =>
    median(loaded.map((row, round) => quantile(row, share) / quantile(quiet[round] as number[], share))).toFixed(2);
  const cell = (value: number | undefined, width: number): string => String(Math.round(value ?? NaN)).padStart(width);
  console.log(
    `${name.padEnd(18)}${cell(quiet50, 11)}${cell(quiet99, 7)}${cell(loaded50, 11)}${cell(loaded99, 7)}${ratio(0.5).padStart(19)}${ratio(0.99).padStart(7)}`,
  );
}

/** Sends requests one after another, and returns how long each took, in µs. */
function measureLatencies(address: Contender["address"], count: number, between: () => void = () => {}): number[] {
  using client = new Client(address);
  const latencies: number[] = [];
  for (let i = 0; i < count; i++) {
    between();
    const start = Bun.nanoseconds();
    client.send(REQUEST);
    if (client.readResponse().status !== 200) throw new Error("the normal client was rejected");
    latencies.push((Bun.nanoseconds() - start) / 1000);
  }
  return latencies;
}

/** Does the same with slow clients connected, some of which send a byte just before each request. */
function measureUnderLoad(address: Contender["address"], count: number = REQUESTS): number[] {
  using epoll = new Epoll();
  const slow = new Map<number, SlowClient>();
  const add = ({ start, nextBytes }: (typeof kinds)[number]): void => {
    const client = new Client(address);
    if (nextBytes === undefined) client.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096);
    client.send(start);
    epoll.register(client.socket, nextBytes === undefined ? EPOLLRDHUP : EPOLLIN);
    slow.set(client.socket.fileno(), { client, nextBytes });
  };
  try {
    for (const kind of kinds) for (let i = 0; i < CLIENTS_PER_KIND; i++) add(kind);
    measureLatencies(address, 500); // gives the server time to process what the slow clients have sent so far
    const senders = [...slow.values()].filter(({ nextBytes }) => nextBytes !== undefined);
    let at = 0;
    const latencies = measureLatencies(address, count, () => {
      for (let i = 0; i < SENDERS_PER_REQUEST; i++) {
        const { client, nextBytes = "" } = senders[at++ % senders.length] as SlowClient;
        client.send(nextBytes);
      }
    });
    const ended = epoll.poll(0, 3 * CLIENTS_PER_KIND).length;
    if (ended > 0)
      throw new Error(`${ended} slow clients were disconnected before the end, so the figures are invalid`);
    return latencies;
  } catch (error) {
    if (error instanceof ErrnoError) throw new Error("a slow client was disconnected before the end", { cause: error });
    throw error;
  } finally {
    for (const { client } of slow.values()) client.close();
  }
}
