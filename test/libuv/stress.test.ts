// Addons under stress: many sends from threads, garbage collection throughout, many handles, and random operations.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { libuvModule, removeAddonFolder, runBun, unavailable, writeProgram } from "../support/native-addon.ts";
import { endPrograms } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);
afterAll(endPrograms);
afterAll(removeAddonFolder);

const COMMON = `
const addon = require(process.env.ADDON);
const pair = () => { const both = addon.socketPair(); return [Math.floor(both / 65536), both % 65536]; };
`;

describe.skipIf(unavailable !== "")(`stress ${unavailable}`, () => {
  test("uv_async_send from the thread pool", async () => {
    const sends = scaled(100_000, 1_000_000);
    const code = `
      ${COMMON}
      const N = 4, calls = Array(N).fill(0), seen = Array(N).fill(-1);
      let left = N;
      for (let i = 0; i < N; i++) {
        const async = addon.async(() => {
          calls[i]++;
          if (seen[i] < 0 || calls[i] <= seen[i]) return;
          addon.close(async);
          if (--left === 0) console.log(calls.every((n) => n > 0));
        });
        // One more after all others: it is not lost among them.
        addon.sendFromPool(async, ${sends / 4}, () => { seen[i] = calls[i]; addon.sendFromThread(async, 1); });
      }`;
    const { stdout, stderr, code: exitCode } = await runBun(writeProgram(code));
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: "true\n", stderr: "", exitCode: 0 });
  });

  test("garbage collection in every turn", async () => {
    const count = scaled(200, 5_000);
    const code = `
      ${COMMON}
      const gc = setInterval(() => Bun.gc(true), 1);
      let left = 4;
      const finish = () => { if (--left === 0) { clearInterval(gc); console.log("end"); } };
      const timers = (n) => { if (n === 0) return finish(); const timer = addon.timer(() => { addon.close(timer); timers(n - 1); }, 0, 0); };
      const works = (n) => n === 0 ? finish() : addon.queueWork(() => works(n - 1));
      const asyncs = (n) => { if (n === 0) return finish(); const async = addon.async(() => { addon.close(async); asyncs(n - 1); }); addon.sendFromThread(async, 1); };
      const polls = (n) => {
        if (n === 0) return finish();
        const [a, b] = pair();
        const poll = addon.poll(() => { addon.close(poll); addon.closeFd(a); addon.closeFd(b); polls(n - 1); }, a, 1);
        addon.write(b, 1);
      };
      for (const start of [timers, works, asyncs, polls]) start(${count});`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "end\n", stderr: "", code: 0 });
  });

  test("handles that are opened and closed leave nothing behind", async () => {
    const count = scaled(20_000, 100_000);
    const code = `
      ${COMMON}
      const fs = require("fs");
      const state = () => { Bun.gc(true); return { fds: fs.readdirSync("/proc/self/fd").length, mib: process.memoryUsage.rss() / 1048576 }; };
      const states = [];
      let opened = 0;
      const batch = () => {
        if (opened % ${count / 4} === 0) states.push(state());
        if (opened === ${count}) return console.log(JSON.stringify(states));
        const [a, b] = pair();
        const items = [addon.poll(() => {}, a, 1), addon.poll(() => {}, b, 2)];
        for (let i = 0; i < 24; i++) items.push(addon.timer(() => {}, i, i), addon.async(() => {}));
        opened += items.length;
        const timer = addon.timer(() => {
          for (const item of items) addon.close(item);
          addon.close(timer);
          addon.closeFd(a); addon.closeFd(b);
          setImmediate(batch);
        }, 0, 0);
      };
      batch();`;
    const { stdout, stderr, code: exitCode } = await runBun(writeProgram(code));
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const states = JSON.parse(stdout) as { fds: number; mib: number }[];
    const [, quarter, half, , end] = states;
    if (quarter === undefined || half === undefined || end === undefined) throw new Error(stdout);
    expect(end.fds).toBeLessThanOrEqual(quarter.fds);
    expect(end.mib - half.mib).toBeLessThan(16);
  });

  test.each(Array.from({ length: scaled(4, 40) }, (_, seed) => seed + 1))(
    "random operations, seed %d",
    async (seed) => {
      const code = `
        ${COMMON}
        const { hasActiveHandles } = require(${JSON.stringify(libuvModule)});
        let state = ${seed};
        const random = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return Math.floor((state / 2147483648) * n); };
        const handles = new Set();
        const HOUR = 3600000;
        let closing = false;
        const problems = [];
        const check = () => {
          for (const { item, active, ref } of handles) {
            if (addon.isActive(item) !== active) problems.push("active");
            if (addon.hasRef(item) !== ref) problems.push("ref");
          }
          const alive = closing || [...handles].some(({ active, ref }) => active && ref);
          if (hasActiveHandles() !== alive) problems.push("alive is " + !alive);
        };
        const create = () => {
          const kind = ["timer", "poll", "async"][random(3)];
          if (kind === "timer") return { kind, item: addon.timer(() => {}, HOUR, 0), active: 1, ref: 1 };
          if (kind === "async") return { kind, item: addon.async(() => {}), active: 1, ref: 1 };
          const [a, b] = pair();
          return { kind, item: addon.poll(() => {}, a, 1), active: 1, ref: 1, fds: [a, b] };
        };
        const operate = () => {
          const all = [...handles], one = all[random(all.length)];
          switch (one ? random(8) : 0) {
            case 0: if (handles.size < 40) handles.add(create()); break;
            case 1: addon.close(one.item); handles.delete(one); closing = true; for (const fd of one.fds ?? []) addon.closeFd(fd); break;
            case 2: addon.ref(one.item); one.ref = 1; break;
            case 3: addon.unref(one.item); one.ref = 0; break;
            case 4: if (one.kind === "timer") { addon.timerStop(one.item); one.active = 0; } else if (one.kind === "poll") { addon.pollStop(one.item); one.active = 0; } break;
            case 5: if (one.kind === "timer") { addon.timerStart(one.item, HOUR, 0); one.active = 1; } else if (one.kind === "poll") { addon.pollEvents(one.item, 1); one.active = 1; } break;
            case 6: if (one.kind === "async") addon.send(one.item); break;
            case 7: addon.run(2); closing = false; break;
          }
          check();
        };
        let turns = ${scaled(200, 2_000)};
        const turn = () => {
          for (let n = random(10); n > 0; n--) operate();
          if (--turns > 0) return setTimeout(() => { closing = false; turn(); }, random(3));
          for (const { item, fds = [] } of handles) { addon.close(item); for (const fd of fds) addon.closeFd(fd); }
          console.log(problems.length, problems.slice(0, 5).join());
        };
        turn();`;
      expect(await runBun(writeProgram(code))).toEqual({ stdout: "0 \n", stderr: "", code: 0 });
    },
  );
});
