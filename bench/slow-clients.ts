// What a good client's request takes while fifteen hundred slow ones hold on to the server: beside a quiet server, and beside Bun.serve.
//
//   bun bench/slow-clients.ts [rounds]

import { Client } from "../test/support/client.ts";
import { Epoll, EPOLLRDHUP, ErrnoError, EPOLLIN, SO_RCVBUF, SOL_SOCKET } from "epoll-hello";
import { Contender, pinLoad, recipes } from "./support/contender.ts";
import { median, quantile } from "./support/numbers.ts";

const EACH = 500;
const ASKED = 3000;
const WARM_UP = 15_000;
/** A slow sender's next byte comes about so often: each time the good one asks, so many of them send. */
const SENDERS_PER_REQUEST = 5;
const GOOD = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

interface Slow {
  client: Client;
  drop: string | undefined;
}

const kinds: { begins: string; drop?: string }[] = [
  { begins: "GET /hello HTTP/1.1\r\nHost: a\r\nX: ", drop: "a" },
  { begins: "POST /collect HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", drop: "a" },
  { begins: "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" },
];

const rounds = Number(process.argv[2] ?? 5);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("usage: bun bench/slow-clients.ts [rounds, 5 unless given]");
  process.exit(2);
}
pinLoad();
using run = await Contender.start(recipes.run, "app");
using bun = await Contender.start(recipes.bunServe, "app");
const contenders = [run, bun];
const figures = contenders.map(() => ({ quiet: [] as number[][], held: [] as number[][] }));

for (const { name, address } of contenders) {
  process.stderr.write(`\r\x1b[Kwarming up: ${name}`);
  ask(address, ASKED);
  held(address, WARM_UP); // while the engine still compiles, it does so on the server's core
}
for (let round = 1; round <= rounds; round++) {
  for (const [i, { name, address }] of contenders.entries()) {
    process.stderr.write(`\r\x1b[Kround ${round} of ${rounds}: ${name}`);
    figures[i]?.quiet.push(ask(address, ASKED));
    figures[i]?.held.push(held(address));
  }
}
process.stderr.write("\r\x1b[K");

console.log(`${EACH} slow heads, ${EACH} slow bodies, ${EACH} slow readers; medians of ${rounds} rounds, µs\n`);
console.log("server              quiet p50    p99   held p50    p99   p50 held ÷ quiet    p99");
for (const [i, { name }] of contenders.entries()) {
  const { quiet = [], held = [] } = figures[i] ?? {};
  const [q50, q99, h50, h99] = [quiet, held].flatMap((rows) =>
    [0.5, 0.99].map((share) => median(rows.map((row) => quantile(row, share)))),
  );
  const ratio = (share: number): string =>
    median(held.map((row, round) => quantile(row, share) / quantile(quiet[round] as number[], share))).toFixed(2);
  const cell = (value: number | undefined, width: number): string => String(Math.round(value ?? NaN)).padStart(width);
  console.log(
    `${name.padEnd(18)}${cell(q50, 11)}${cell(q99, 7)}${cell(h50, 11)}${cell(h99, 7)}${ratio(0.5).padStart(19)}${ratio(0.99).padStart(7)}`,
  );
}

/** Ask so often, one after the other; how long each took, in µs. */
function ask(address: Contender["address"], count: number, between: () => void = () => {}): number[] {
  using good = new Client(address);
  const taken: number[] = [];
  for (let i = 0; i < count; i++) {
    between();
    const start = Bun.nanoseconds();
    good.send(GOOD);
    if (good.reply().status !== 200) throw new Error("the good client was refused");
    taken.push((Bun.nanoseconds() - start) / 1000);
  }
  return taken;
}

/** The same while the slow ones are there: some of them send a byte just before each request. */
function held(address: Contender["address"], count: number = ASKED): number[] {
  using epoll = new Epoll();
  const slow = new Map<number, Slow>();
  const add = ({ begins, drop }: (typeof kinds)[number]): void => {
    const client = new Client(address);
    if (drop === undefined) client.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096);
    client.send(begins);
    epoll.register(client.socket, drop === undefined ? EPOLLRDHUP : EPOLLIN);
    slow.set(client.socket.fileno(), { client, drop });
  };
  try {
    for (const kind of kinds) for (let i = 0; i < EACH; i++) add(kind);
    ask(address, 500); // those that came last are at their slow pace
    const senders = [...slow.values()].filter(({ drop }) => drop !== undefined);
    let at = 0;
    const taken = ask(address, count, () => {
      for (let i = 0; i < SENDERS_PER_REQUEST; i++) {
        const { client, drop = "" } = senders[at++ % senders.length] as Slow;
        client.send(drop);
      }
    });
    const ended = epoll.poll(0, 3 * EACH).length;
    if (ended > 0) throw new Error(`${ended} slow clients were gone before the end: this measures nothing`);
    return taken;
  } catch (error) {
    if (error instanceof ErrnoError) throw new Error("a slow client was gone before the end", { cause: error });
    throw error;
  } finally {
    for (const { client } of slow.values()) client.close();
  }
}
