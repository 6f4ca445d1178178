// Microbenchmarks of Epoll and Socket calls, also with many fds and compared with CPython, of request parsing, and of watch().
//
//   bun bench/micro.ts [rounds]

import { join } from "node:path";
import { bench, do_not_optimize, group, run } from "mitata";
import { Epoll, EPOLLIN, EPOLLOUT, EventFd, EventList, MSG_PEEK, type Socket, socketpair, watch } from "epoll-hello";
import { readHead } from "../src/protocols/http/read-head.ts";
import { loadParser } from "../src/protocols/http/llhttp.ts";
import { machine } from "./support/machine.ts";
import { median } from "./support/numbers.ts";
import { traffic } from "./support/traffic.ts";

const CALLS = 200_000;
/** How many file descriptors are registered with one epoll instance. */
const FD_COUNTS = [10, 100, 1000, 10_000, 20_000];

const rounds = Number(process.argv[2] ?? 7);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("usage: bun bench/micro.ts [rounds, default: 7]");
  process.exit(2);
}
console.log(`${machine()}\n`);

const [a, b] = socketpair();
b.send("x");
const epoll = new Epoll();
epoll.register(a, EPOLLIN);
const events = new EventList(64);
const fd = a.fileno();

// ---- compared with CPython, alternating in one run ----

const ours = {
  poll: () => epoll.poll(0),
  modify: () => epoll.modify(fd, EPOLLIN),
  recv: () => a.recv(1, MSG_PEEK),
};
const python = Bun.which("python3");
if (python !== null) {
  const results = { ours: [] as Record<string, number>[], python: [] as Record<string, number>[] };
  for (const call of Object.values(ours)) ns(call); // warm-up
  for (let round = 1; round <= rounds; round++) {
    progress(`compared with CPython: round ${round} of ${rounds}`);
    results.ours.push(Object.fromEntries(Object.entries(ours).map(([name, call]) => [name, ns(call)])));
    const { stdout } = Bun.spawnSync([python, join(import.meta.dir, "servers/epoll.py")]);
    results.python.push(JSON.parse(stdout.toString()) as Record<string, number>);
  }
  progress("");
  console.log(`ns per call, medians of ${rounds} rounds       Epoll   CPython   ratio`);
  for (const name of Object.keys(ours)) {
    const [mine, theirs] = [results.ours, results.python].map((all) => median(all.map((one) => one[name] as number)));
    console.log(
      `${name.padEnd(40)}${cell(mine, 7)}${cell(theirs, 10)}${((mine ?? NaN) / (theirs ?? NaN)).toFixed(2).padStart(8)}`,
    );
  }
}

// ---- one ready fd among many ----

console.log("\npollInto with one ready fd among many, ns per call");
for (const count of FD_COUNTS) {
  const all: EventFd[] = [];
  using watched = new Epoll();
  try {
    for (let i = 0; i < count; i++) {
      const one = new EventFd(0);
      all.push(one);
      watched.register(one, EPOLLIN);
    }
  } catch (error) {
    if ((error as { code?: string }).code !== "EMFILE") throw error;
    console.log(`(stopped at ${all.length} fds, the limit of this process: see ulimit -n)`);
  }
  all[all.length >> 1]?.write(1n);
  const call = (): number => watched.pollInto(events, 0);
  ns(call);
  console.log(`${String(all.length).padEnd(40)}${cell(median(Array.from({ length: rounds }, () => ns(call))), 7)}`);
  for (const one of all) one.close();
}
console.log();

// ---- single operations ----

const byte = new Uint8Array(new ArrayBuffer(1));
const into = new Uint8Array(new ArrayBuffer(65_536));
group("Epoll", () => {
  bench("poll, one fd ready", () => do_not_optimize(epoll.poll(0)));
  bench("pollInto, one fd ready", () => do_not_optimize(epoll.pollInto(events, 0)));
  let isOut = false;
  bench("modify", () => {
    isOut = !isOut;
    epoll.modify(fd, isOut ? EPOLLIN | EPOLLOUT : EPOLLIN);
  });
});
group("Socket", () => {
  bench("recvInto, 1 byte", () => do_not_optimize(a.recvInto(byte, MSG_PEEK)));
  const [c, d] = socketpair();
  bench("send and recvInto, 40 bytes", () => {
    c.send(small);
    do_not_optimize(d.recvInto(into));
  });
});
const limits = { maxHeaderBytes: 16_384, maxHeaderCount: 100, maxTargetBytes: 8192 };
const small = Buffer.from("GET / HTTP/1.1\r\nHost: localhost:8800\r\n\r\n");
const realistic = traffic("pages").map((text) => Buffer.from(text, "latin1"));
loadParser();
group("a request head not seen before: llhttp and validation", () => {
  bench(`${small.length} bytes`, () => do_not_optimize(readHead(small, 0, small.length, limits)));
  let next = 0;
  bench("realistic, 694 bytes on average", () => {
    const head = realistic[next++ % realistic.length] as Buffer;
    do_not_optimize(readHead(head, 0, head.length, limits));
  });
});
group("watch", () => {
  const [reader, writer] = socketpair();
  let woken = (): void => {};
  let watcher: { close(): void } | undefined;
  const wait = (socket: Socket): void => {
    watcher ??= watch(socket, EPOLLIN, () => {
      socket.recvInto(into);
      woken();
    });
  };
  bench("wake-up of a busy loop", async () => {
    wait(reader);
    const received = new Promise<void>((resolve) => (woken = resolve));
    writer.send("x");
    await received;
  });
  process.on("exit", () => watcher?.close());
});
await run();
process.exit();

/** Returns the average time of a call, in ns. */
function ns(call: () => unknown): number {
  const start = Bun.nanoseconds();
  for (let i = 0; i < CALLS; i++) do_not_optimize(call());
  return (Bun.nanoseconds() - start) / CALLS;
}

function cell(value: number | undefined, width: number): string {
  return (value ?? NaN).toFixed(0).padStart(width);
}

function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}
