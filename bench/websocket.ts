// Benchmark of WebSockets: a broadcast to many sockets, echoes on a few, and the memory of each socket; compared with Bun.serve.
//
//   bun bench/websocket.ts [--sockets 10000] [--rounds 5] [--broadcasts 20] [--echoes 20000] [--bytes 64]
//
// Every server has its own process, with all sockets open. The rounds alternate between the servers.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { Contender, maxFds, memoryOf, pinLoad, type Recipe } from "./support/contender.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";

/** How many echoing sockets there are, and how many messages each has under way. */
const ECHOING = 50;
const PIPELINED = 8;
/** Sockets are opened in groups, so that the backlog does not overflow. */
const GROUP = 250;
const SETTLE_MS = 2000;
/** File descriptors of this process that are not sockets. */
const OTHER_FDS = 200;

const { values: options } = parseArgs({
  options: {
    sockets: { type: "string", default: "10000" },
    rounds: { type: "string", default: "5" },
    broadcasts: { type: "string", default: "20" },
    echoes: { type: "string", default: "20000" },
    bytes: { type: "string", default: "64" },
  },
});
const [rounds, broadcasts, echoes, bytes] = [options.rounds, options.broadcasts, options.echoes, options.bytes].map(
  Number,
) as [number, number, number, number];
const kinds = { run: "EpollServer.run()", start: "EpollServer.start()", bunServe: "Bun.serve" } as const;
const most = Math.floor((maxFds() - OTHER_FDS) / Object.keys(kinds).length);
const count = Math.min(Number(options.sockets), most);
if (![count, rounds, broadcasts, echoes, bytes].every((number) => number >= 1) || bytes > 125) {
  console.error(
    "usage: bun bench/websocket.ts [--sockets N] [--rounds N] [--broadcasts N] [--echoes N] [--bytes 1–125]",
  );
  process.exit(2);
}

const REQUEST =
  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/** A server's frame with a payload of `bytes` has two bytes more. */
const FRAME_BYTES = bytes + 2;

/** Returns a client's frame, whose mask changes nothing. */
function frame(first: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | bytes, 0, 0, 0, 0]), Buffer.alloc(bytes, first)]);
}

/** All sockets of one server. */
class Sockets {
  readonly all: Bun.Socket[] = [];
  received = 0;
  #upgraded = 0;
  #waiting: { bytes: number; resolve: () => void } | undefined;
  /** Called with the number of bytes that a socket has received. */
  onData: ((socket: Bun.Socket, bytes: number) => void) | undefined;

  async open(port: number): Promise<void> {
    while (this.all.length < count) {
      const group = Array.from({ length: Math.min(GROUP, count - this.all.length) }, () => this.#connect(port));
      this.all.push(...(await Promise.all(group)));
    }
  }

  #connect(port: number): Promise<Bun.Socket> {
    const { promise, resolve, reject } = Promise.withResolvers<Bun.Socket>();
    let head = "";
    void Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(REQUEST),
        data: (socket, data) => {
          if (head.endsWith("\r\n\r\n")) return this.#receive(socket, data.length);
          head += data.toString("latin1");
          if (!head.endsWith("\r\n\r\n")) return;
          this.#upgraded++;
          resolve(socket);
        },
        error: (_, error) => reject(error),
        close: () => reject(new Error(`closed after ${this.#upgraded} sockets`)),
      },
    }).catch(reject);
    return promise;
  }

  #receive(socket: Bun.Socket, length: number): void {
    this.received += length;
    this.onData?.(socket, length);
    if (this.#waiting !== undefined && this.received >= this.#waiting.bytes) this.#waiting.resolve();
  }

  /** Waits until this many bytes have been received in total. */
  async until(bytes: number): Promise<void> {
    if (this.received >= bytes) return;
    await new Promise<void>((resolve) => (this.#waiting = { bytes, resolve }));
    this.#waiting = undefined;
  }

  /** Sends one broadcast after the other, and waits until all sockets have received it. */
  async broadcast(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const target = this.received + count * FRAME_BYTES;
      this.all[i % count]?.write(frame("!"));
      await this.until(target);
    }
  }

  /** Has messages echoed: each socket sends the next one when an echo arrives. */
  async echo(messages: number): Promise<void> {
    const one = frame("x");
    const target = this.received + messages * FRAME_BYTES;
    let left = messages;
    const send = (socket: Bun.Socket, times: number): void => {
      const n = Math.min(times, left);
      left -= n;
      if (n > 0) socket.write(n === 1 ? one : Buffer.concat(Array.from({ length: n }, () => one)));
    };
    this.onData = (socket, length) => send(socket, Math.round(length / FRAME_BYTES));
    for (const socket of this.all.slice(0, ECHOING)) send(socket, PIPELINED);
    await this.until(target);
    this.onData = undefined;
  }
}

interface Measured {
  server: Contender;
  sockets: Sockets;
  bytesPerSocket: number;
  broadcastUs: number[];
  echoUs: number[];
}

pinLoad();
console.log(machine());
console.log(`
${count} sockets; ${rounds} rounds of ${broadcasts} broadcasts and ${echoes} echoes of ${bytes} bytes; medians (range)

server                 bytes per socket   CPU µs per message of a broadcast   CPU µs per echo`);

using stack = new DisposableStack();
const measured: Measured[] = [];
for (const [kind, name] of Object.entries(kinds)) {
  const recipe: Recipe = {
    name,
    command: () => [process.execPath, join(import.meta.dir, "servers", "websocket.ts"), kind],
  };
  const server = stack.use(await Contender.start(recipe, "static"));
  await (await fetch(server.url, { keepalive: false })).text();
  const before = memoryOf(server.pid).pss;
  const sockets = new Sockets();
  await sockets.open(server.address.port);
  await Bun.sleep(SETTLE_MS);
  const bytesPerSocket = (memoryOf(server.pid).pss - before) / count;
  measured.push({ server, sockets, bytesPerSocket, broadcastUs: [], echoUs: [] });
}
for (let round = 0; round <= rounds; round++) {
  for (const { server, sockets, broadcastUs, echoUs } of measured) {
    const start = server.cpuUs;
    await sockets.broadcast(broadcasts);
    const between = server.cpuUs;
    await sockets.echo(echoes);
    if (round === 0) continue; // warm-up
    broadcastUs.push((between - start) / (broadcasts * count));
    echoUs.push((server.cpuUs - between) / echoes);
  }
}
const range = (values: number[]): string =>
  `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`;
for (const { server, bytesPerSocket, broadcastUs, echoUs } of measured) {
  const cells = [bytesPerSocket.toFixed(0).padStart(16), range(broadcastUs).padStart(36), range(echoUs).padStart(18)];
  console.log(`${server.name.padEnd(22)}${cells.join("")}`);
}
process.exit();
