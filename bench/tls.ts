// Benchmark of TLS: the cost of a handshake, a request, a megabyte and an idle connection; compared with Bun.serve, and with no TLS.
//
//   bun bench/tls.ts [--rounds 7] [--seconds 3] [--warm-up 10] [--connections 500]
//
// The rounds alternate between the servers. wrk makes a full handshake for each connection: it resumes no sessions. The key is ECDSA P-256.

import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { parseArgs } from "node:util";
import { Contender, memoryOf, pinLoad, type Recipe } from "./support/contender.ts";
import { type Load, requestsOf } from "./support/load.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    seconds: { type: "string", default: "3" },
    "warm-up": { type: "string", default: "10" },
    connections: { type: "string", default: "500" },
  },
});
const { rounds, seconds, warmUp, connections } = {
  rounds: Number(options.rounds),
  seconds: Number(options.seconds),
  warmUp: Number(options["warm-up"]),
  connections: Number(options.connections),
};
if (![rounds, seconds, warmUp, connections].every((number) => number >= 1)) {
  console.error("usage: bun bench/tls.ts [--rounds N] [--seconds N] [--warm-up N] [--connections N]");
  process.exit(2);
}

const certificates = join(import.meta.dir, "../test/support/certificates");
const files = [join(certificates, "server.pem"), join(certificates, "server-key.pem")];
const names = { start: "EpollServer.start()", bunServe: "Bun.serve", plain: "EpollServer without TLS" } as const;
const works: Readonly<Record<string, { path: string; load: Load }>> = {
  handshake: { path: "/", load: { connections: 8, closes: true } },
  request: { path: "/", load: { connections: 64 } },
  megabyte: { path: "/large", load: { connections: 8 } },
};

const SETTLE_MS = 500;

/** Returns the proportional memory of one open connection, in bytes. */
async function bytesPerConnection(server: Contender, isPlain: boolean): Promise<number> {
  if (isPlain) return NaN;
  const before = memoryOf(server.pid).pss;
  const { port } = server.address;
  const open = (): Promise<TLSSocket> => {
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
    socket.on("error", reject);
    socket.on("data", () => resolve(socket));
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return promise;
  };
  const sockets: TLSSocket[] = [];
  while (sockets.length < connections) {
    sockets.push(...(await Promise.all(Array.from({ length: Math.min(50, connections - sockets.length) }, open))));
  }
  await Bun.sleep(SETTLE_MS);
  const bytes = (memoryOf(server.pid).pss - before) / connections;
  for (const socket of sockets) socket.destroy();
  return bytes;
}

pinLoad();
console.log(machine());
using stack = new DisposableStack();
const measured: { name: string; server: Contender; isPlain: boolean; us: Record<string, number[]>; memory: number }[] =
  [];
for (const [kind, name] of Object.entries(names)) {
  const recipe: Recipe = {
    name,
    command: () => [process.execPath, join(import.meta.dir, "servers", "tls.ts"), kind, ...files],
  };
  const server = stack.use(await Contender.start(recipe, "static"));
  const isPlain = kind === "plain";
  await requestsOf(`${isPlain ? "http" : "https"}://127.0.0.1:${server.address.port}`, { connections: 64 }, warmUp);
  measured.push({ name, server, isPlain, us: {}, memory: await bytesPerConnection(server, isPlain) });
}
for (let round = 0; round < rounds; round++) {
  for (const [work, { path, load }] of Object.entries(works)) {
    for (const { server, isPlain, us } of measured) {
      const before = server.cpuUs;
      const url = `${isPlain ? "http" : "https"}://127.0.0.1:${server.address.port}${path}`;
      const count = await requestsOf(url, load, seconds);
      (us[work] ??= []).push((server.cpuUs - before) / count);
    }
  }
}

console.log(`
${rounds} rounds of ${seconds} s; processor time of the server in µs: medians (range)

server                         connection and request               request            1 MiB response   bytes per connection`);
const range = (values: number[]): string =>
  `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)})`;
for (const { name, us, memory } of measured) {
  const cells = [us["handshake"], us["request"], us["megabyte"]].map((values) => range(values ?? []).padStart(26));
  console.log(`${name.padEnd(26)}${cells.join("")}${(Number.isNaN(memory) ? "–" : memory.toFixed(0)).padStart(23)}`);
}
const [ours, theirs] = measured;
for (const work of Object.keys(works)) {
  const ratios = (ours?.us[work] ?? []).map((value, i) => value / (theirs?.us[work]?.[i] ?? NaN));
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  console.log(`${work}: ${median(ratios).toFixed(2)} times Bun.serve's (${low.toFixed(2)}–${high.toFixed(2)})`);
}
process.exit();
