// The program of Waiter: prints the fd of its epoll instance, waits in Epoll.poll, then prints a report as JSON.

import { constants, openSync } from "node:fs";
import { EFD_NONBLOCK, O_NONBLOCK } from "../../src/kernel/constants.ts";
import { Epoll } from "../../src/io/epoll.ts";
import { syscalls } from "../../src/kernel/ffi.ts";
import { SIGINFO_BYTES } from "../../src/kernel/siginfo.ts";
import type { WaiterArgument, WaiterReport } from "./waiting.ts";

const { fifo, mask, timeoutMs, signal } = JSON.parse(process.argv[2] ?? "") as WaiterArgument;
const host = syscalls();
const waits: WaiterReport["waits"] = [];
const epoll = new Epoll(undefined, {
  ...host,
  epoll_wait(epfd, out, max, timeoutMs) {
    const n = host.epoll_wait(epfd, out, max, timeoutMs);
    waits.push({ timeoutMs, n });
    return n;
  },
});
if (fifo !== undefined) epoll.register(openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK), mask);
const ends = new Int32Array(new ArrayBuffer(8));
host.pipe2(ends, O_NONBLOCK);
const [reader = -1, writer = -1] = ends;
host.signal_catch(signal, writer, host.eventfd(0, EFD_NONBLOCK), 0);

console.log(`waiting on ${epoll.fileno()}`);
const start = Bun.nanoseconds();
const masks = epoll.poll(timeoutMs).map(([, mask]) => mask);
const elapsedMs = (Bun.nanoseconds() - start) / 1e6;
const signals = Math.max(0, host.read(reader, new Uint8Array(new ArrayBuffer(65_536)), 0, 65_536)) / SIGINFO_BYTES;
console.log(JSON.stringify({ masks, elapsedMs, waits, signals } satisfies WaiterReport));
