// Workers: each has a loop of its own, runs its handles beside the main thread's, and leaves nothing behind when it ends.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  buildAddon,
  libuvModule,
  removeAddonFolder,
  runBun,
  runCommand,
  unavailable,
  writeProgram,
} from "../support/native-addon.ts";
import { endPrograms } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);
afterAll(endPrograms);
afterAll(removeAddonFolder);

const KINDS = ["global", "node:worker_threads"] as const;

/** What the main thread and each Worker begin with: `send`, `onMessage` and `isMain` in the terms of either kind. */
const prelude = (kind: (typeof KINDS)[number]): string =>
  kind === "global"
    ? `
      const isMain = Bun.isMainThread;
      const send = (value) => postMessage(value);
      const onMessage = (callback) => addEventListener("message", ({ data }) => callback(data));
      const startWorker = (onMessage, onEnd, onError) => {
        const worker = new Worker(__filename);
        worker.addEventListener("message", ({ data }) => onMessage(data, worker));
        worker.addEventListener("close", ({ code }) => onEnd(code));
        if (onError) worker.addEventListener("error", (event) => { event.preventDefault?.(); onError(event.message); });
        return worker;
      };`
    : `
      const threads = require("node:worker_threads");
      const isMain = threads.isMainThread;
      const send = (value) => threads.parentPort.postMessage(value);
      const onMessage = (callback) => threads.parentPort.on("message", callback);
      const startWorker = (onMessage, onEnd, onError) => {
        const worker = new threads.Worker(__filename);
        worker.on("message", (data) => onMessage(data, worker));
        worker.on("exit", onEnd);
        if (onError) worker.on("error", (error) => onError(error.message));
        return worker;
      };`;

const ADDON = `const addon = require(process.env.ADDON);`;
const PAIR = `const pair = () => { const both = addon.socketPair(); return [Math.floor(both / 65536), both % 65536]; };`;

/** Uses a timer, the thread pool, another thread and a socket, and calls `done` when all have worked. */
const USE_ALL = `
const useAll = (done) => {
  const left = new Set(["timer", "work", "async", "poll"]);
  const finish = (what) => { left.delete(what); if (left.size === 0) done(); };
  let n = 0;
  const timer = addon.timer(() => { if (++n === 3) { addon.close(timer); finish("timer"); } }, 1, 1);
  addon.queueWork(() => finish("work"));
  const async = addon.async(() => { addon.close(async); finish("async"); });
  addon.sendFromThread(async, 1);
  const [a, b] = pair();
  const poll = addon.poll(() => { addon.close(poll); addon.closeFd(a); addon.closeFd(b); finish("poll"); }, a, 1);
  addon.write(b, 1);
};`;

describe.skipIf(unavailable !== "").each(KINDS)(`%s Worker ${unavailable}`, (kind) => {
  const start = prelude(kind);

  test.each([
    ["that inherits the preload", ""],
    ["that imports the module itself", `require(${JSON.stringify(libuvModule)});`],
  ])("a Worker %s has its own loop, beside the main thread's", async (_, own) => {
    const code = `
      ${start} ${own} ${ADDON} ${PAIR} ${USE_ALL}
      if (isMain) {
        let ticks = 0;
        const timer = addon.timer(() => ticks++, 1, 1);
        const loops = new Set([addon.loops()]);
        let ended = 0;
        for (let i = 0; i < 3; i++) {
          startWorker((loop) => { if (loop !== 0) loops.add(loop); }, (code) => {
            if (code !== 0) console.log("code", code);
            if (++ended < 3) return;
            console.log(loops.size, ticks > 0);
            useAll(() => { addon.close(timer); console.log("main works"); });
          });
        }
      } else {
        useAll(() => send(addon.loops()));
      }`;
    const result = await runBun(writeProgram(code));
    expect(result).toEqual({ stdout: "4 true\nmain works\n", stderr: "", code: 0 });
  });

  test("a module that only the program imports, without --preload", async () => {
    const code = `${start} if (isMain) require(${JSON.stringify(libuvModule)}); ${ADDON} ${PAIR} ${USE_ALL}
      if (isMain) startWorker((message) => console.log(message), (code) => console.log("ended", code));
      else useAll(() => send("works"));`;
    const result = await runCommand(["bun", writeProgram(code)]);
    expect(result).toEqual({ stdout: "works\nended 0\n", stderr: "", code: 0 });
  });

  test("an addon that only a Worker loads, first", async () => {
    const code = `${start}
      if (isMain) {
        startWorker((message) => console.log(message), () => {
          ${ADDON} ${PAIR} ${USE_ALL}
          useAll(() => console.log("main works"));
        });
      } else {
        ${ADDON} ${PAIR} ${USE_ALL}
        useAll(() => send("works"));
      }`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "works\nmain works\n", stderr: "", code: 0 });
  });

  test("several Workers that load the addon at once, and nothing else has", async () => {
    const code = `${start}
      if (isMain) {
        let n = 0, ended = 0;
        for (let i = 0; i < 8; i++) startWorker(() => n++, () => { if (++ended === 8) console.log(n); });
      } else {
        ${ADDON} ${PAIR} ${USE_ALL}
        useAll(() => send("works"));
      }`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "8\n", stderr: "", code: 0 });
  });

  test("a Worker ends by itself when its last handle is closed", async () => {
    const code = `${start} ${ADDON}
      if (isMain) startWorker((message) => console.log(message), (code) => console.log("ended", code));
      else { let n = 0; const timer = addon.timer(() => { if (++n === 3) { addon.close(timer); send("closed"); } }, 5, 5); addon.unref(addon.timer(() => {}, 3600000, 0)); }`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "closed\nended 0\n", stderr: "", code: 0 });
  });

  test("an exception of a callback is an error of the Worker", async () => {
    const code = `${start} ${ADDON} ${PAIR} ${USE_ALL}
      if (isMain) {
        startWorker(() => {}, () => useAll(() => console.log("main works")), (message) => console.log(/boom/.test(message)));
      } else {
        addon.timer(() => { throw new Error("boom"); }, 1, 0);
        addon.timer(() => {}, 3600000, 0);
      }`;
    expect(await runBun(writeProgram(code))).toMatchObject({ stdout: "true\nmain works\n", code: 0 });
  });

  test.each([
    ["terminate()", "end", ""],
    ["process.exit()", "", "process.exit();"],
    ["process.exit() in a callback of the loop", "", "start(() => process.exit());"],
    ["an exception", "", `start(() => { throw new Error("boom"); });`],
    ["an end by itself", "", `for (const item of items) addon.unref(item);`],
  ])("Workers that end by %s leave no fds, threads and memory behind", async (_, fromMain, inWorker) => {
    const pairs = scaled(10, 100) / 2;
    const code = `${start} ${ADDON} ${PAIR}
      const fs = require("fs");
      if (isMain) {
        const one = () => new Promise((resolve) => {
          startWorker((message, worker) => { if (${JSON.stringify(fromMain)} === "end") worker.terminate(); }, resolve, () => {});
        });
        const many = async (n) => { for (let i = 0; i < n; i++) await Promise.all([one(), one()]); };
        const state = () => ({ fds: fs.readdirSync("/proc/self/fd").length, threads: fs.readdirSync("/proc/self/task").length });
        // Bun closes what a Worker had a little later.
        const settled = async (before) => {
          for (let i = 0; i < (before.fds === 0 ? 40 : 1000); i++) {
            await Bun.sleep(5);
            const now = state();
            if (now.fds <= before.fds + 2 && now.threads <= before.threads + 2) return now;
          }
          return state();
        };
        const mib = () => { Bun.gc(true); return process.memoryUsage.rss() / 1048576; };
        const timer = addon.timer(() => {}, 1, 1);
        (async () => {
          await many(4);
          const before = await settled({ fds: 0, threads: 0 }), mibBefore = mib();
          await many(${pairs});
          const after = await settled(before);
          console.log(JSON.stringify({ fds: after.fds - before.fds, threads: after.threads - before.threads, mib: mib() - mibBefore }));
          addon.close(timer);
        })();
      } else {
        const items = [addon.timer(() => {}, 1, 1), addon.async(() => {})];
        for (const item of items) addon.closeAtExit(item);
        const [a, b] = pair();
        items.push(addon.poll(() => {}, a, 1));
        addon.closeAtExit(items[2], a, b);
        const start = (callback) => addon.closeAtExit(addon.timer(callback, 0, 0));
        addon.queueWork(() => { send("ready"); ${inWorker} });
      }`;
    const { stdout, stderr, code: exitCode } = await runBun(writeProgram(code));
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const growth = JSON.parse(stdout) as { fds: number; threads: number; mib: number };
    expect(growth.fds).toBeLessThanOrEqual(2);
    expect(growth.threads).toBeLessThanOrEqual(2);
    expect(growth.mib).toBeLessThan(scaled(60, 100));
  });

  test("the process ends while Workers use their loops", async () => {
    const code = `${start} ${ADDON} ${PAIR} ${USE_ALL}
      if (isMain) {
        let ready = 0;
        for (let i = 0; i < 4; i++) startWorker(() => { if (++ready === 4) { console.log("exit"); process.exit(7); } }, () => {});
      } else {
        let n = 0;
        addon.timer(() => { if (++n === 3) send("ready"); }, 0, 1);
        addon.idle(() => {});
      }`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "exit\n", stderr: "", code: 7 });
  });
});

describe.skipIf(unavailable !== "")(`other Workers ${unavailable}`, () => {
  test("two addons in two Workers", async () => {
    const code = `
      const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");
      if (isMainThread) {
        for (const path of [process.env.ADDON, process.env.SECOND]) {
          new Worker(__filename, { workerData: path }).on("message", (message) => console.log(message));
        }
      } else {
        const addon = require(workerData);
        const timer = addon.timer(() => { addon.close(timer); addon.queueWork(() => parentPort.postMessage("works")); }, 1, 0);
      }`;
    const env = { SECOND: buildAddon("addon", [], "second.node") };
    expect(await runBun(writeProgram(code), env)).toEqual({ stdout: "works\nworks\n", stderr: "", code: 0 });
  });

  test("a Worker with its own preload", async () => {
    const preload = writeProgram(`globalThis.preloaded = true;`);
    const code = `
      if (Bun.isMainThread) {
        const worker = new Worker(__filename, { preload: ${JSON.stringify(preload)} });
        worker.onmessage = ({ data }) => console.log(data);
      } else {
        ${ADDON}
        const timer = addon.timer(() => { addon.close(timer); postMessage(globalThis.preloaded); }, 1, 0);
      }`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "true\n", stderr: "", code: 0 });
  });

  test("a Worker whose class was taken before the module was loaded", async () => {
    const code = `
      const { Worker, isMainThread, parentPort } = require("node:worker_threads");
      if (isMainThread) {
        require(${JSON.stringify(libuvModule)});
        ${ADDON}
        new Worker(__filename).on("message", (loop) => console.log(loop !== 0, loop !== addon.loops()));
      } else {
        ${ADDON}
        const timer = addon.timer(() => { addon.close(timer); parentPort.postMessage(addon.loops()); }, 1, 0);
      }`;
    const result = await runCommand(["bun", writeProgram(code)]);
    expect(result).toEqual({ stdout: "true true\n", stderr: "", code: 0 });
  });

  test("a Worker ends although its addon has freed a handle that it did not close", async () => {
    const code = `
      if (Bun.isMainThread) {
        const worker = new Worker(__filename);
        worker.onmessage = () => worker.terminate();
        worker.addEventListener("close", () => console.log("closed"));
      } else {
        ${ADDON}
        addon.loops();
        addon.abandonHandle();
        postMessage("ready");
      }`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "closed\n", stderr: "", code: 0 });
  });
});
