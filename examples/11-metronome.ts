// bun examples/11-metronome.ts 120        (beats per minute)
//
// A metronome on a timerfd. The kernel keeps the time with nanosecond resolution, and tells a late reader how many beats it
// missed.

import { EPOLLIN, TimerFd, watch } from "epoll-hello";

const perMinute = Number(process.argv[2] ?? 120);
const beats = Number(process.argv[3] ?? 16);
const interval = BigInt(Math.round(60e9 / perMinute));

using timer = new TimerFd();
timer.set({ value: 1n, interval });
let beat = 0;
for await (const _ of watch(timer, EPOLLIN)) {
  const expirations = Number(timer.read() ?? 0n);
  beat += expirations;
  console.log(`${beat % 4 === 1 ? "TICK" : "tock"} ${beat}${expirations > 1 ? `, ${expirations - 1} missed` : ""}`);
  if (beat >= beats) break;
}
