// watch() and start() in a process: keeping it alive, uncaught exceptions, exit, and terminated Workers.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { runBun } from "../support/children.ts";
import { endPrograms, run } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const prelude = `
  import { EPOLLIN, EPOLLOUT, EpollServer, socketpair, watch } from "./src/index.ts";
  const [ours, peer] = socketpair();
  const print = (text) => require("node:fs").writeSync(1, text + "\\n");
`;

/** Longer than it takes a process to exit, on any machine. */
const LONG_MS = 30_000;

/** A timer that keeps no process alive, and reports that one is after all. */
function aliveAfter(ms: number, action: string): string {
  return `setTimeout(() => { print("alive"); ${action} }, ${ms}).unref();`;
}

/** Runs a program. Returns its output and its exit code. */
async function outputOf(code: string): Promise<[stdout: string, code: number]> {
  const { stdout, stderr, code: exitCode } = await run(["bun", "-e", prelude + code]);
  return [`${stdout}${stderr.replace(/^(?!.*error:).*\n?/gm, "")}`, exitCode];
}

test("an open watch keeps the process alive unless unref'd, whether it is idle or always ready", async () => {
  const alive = aliveAfter(50, "watcher.close()");
  const neverAlive = aliveAfter(LONG_MS, "");
  expect(await outputOf(`const watcher = watch(ours, EPOLLIN, () => {}); ${alive}`)).toEqual(["alive\n", 0]);
  expect(await outputOf(`const watcher = watch(ours, EPOLLOUT, () => {}); ${alive}`)).toEqual(["alive\n", 0]);
  expect(await outputOf(`const watcher = watch(ours, EPOLLIN, () => {}).unref(); ${neverAlive}`)).toEqual(["", 0]);
  expect(await outputOf(`const watcher = watch(ours, EPOLLOUT, () => {}).unref(); ${neverAlive}`)).toEqual(["", 0]);
  expect(await outputOf(`const watcher = watch(ours, EPOLLIN, () => {}).unref().ref(); ${alive}`)).toEqual([
    "alive\n",
    0,
  ]);
});

test("an unref'd watch gets events while a timer keeps the process alive", async () => {
  const program = `
    let calls = 0;
    watch(ours, EPOLLOUT, () => void calls++).unref();
    setTimeout(() => print(String(calls > 10)), 300);
  `;
  expect(await outputOf(program)).toEqual(["true\n", 0]);
});

test("one ref'd watch of several keeps the process alive until it is closed", async () => {
  const program = `
    const others = [watch(peer, EPOLLIN, () => {}).unref()];
    const watcher = watch(ours, EPOLLIN, () => {});
    setTimeout(() => { print("alive"); watcher.close(); }, 50).unref();
  `;
  expect(await outputOf(program)).toEqual(["alive\n", 0]);
});

test("a pending iteration keeps the process alive", async () => {
  const program = `
    setTimeout(() => peer.send("a"), 50).unref();
    for await (const mask of watch(ours, EPOLLIN)) { print(String(mask)); break; }
  `;
  expect(await outputOf(program)).toEqual(["1\n", 0]);
});

test("a started server keeps the process alive until it stops, unless unref'd", async () => {
  const server = `const server = new EpollServer({ hostname: "127.0.0.1" }); await server.start();`;
  expect(await outputOf(`${server} ${aliveAfter(50, "server.stop()")}`)).toEqual(["alive\n", 0]);
  expect(await outputOf(`${server} server.unref(); ${aliveAfter(LONG_MS, "")}`)).toEqual(["", 0]);
  expect(await outputOf(`${server} server.unref().ref(); ${aliveAfter(50, "server.stop()")}`)).toEqual(["alive\n", 0]);
});

test("an exception in a callback is reported as uncaught and affects no other watch", async () => {
  const program = `
    let errors = 0, calls = 0;
    process.on("uncaughtException", (error) => { print(error.message); if (++errors === 2) done(); });
    const a = watch(ours, EPOLLIN, () => { ours.recv(1); throw new Error("thrown"); });
    const b = watch(peer, EPOLLIN, () => { peer.recv(1); calls++; });
    ours.send("xx"); peer.send("xx");
    const done = () => setTimeout(() => { print(String(calls)); a.close(); b.close(); }, 5);
  `;
  expect(await outputOf(program)).toEqual(["thrown\nthrown\n2\n", 0]);
});

test("an uncaught exception or rejection in a callback ends the process", async () => {
  const [thrown, code] = await outputOf(`watch(ours, EPOLLOUT, () => { throw new Error("thrown"); });`);
  expect([thrown.slice(0, 500), code]).toEqual([expect.stringContaining("error: thrown"), 1]);
  const [rejected, rejectedCode] = await outputOf(
    `peer.send("a"); watch(ours, EPOLLIN, async () => { ours.recv(1); throw new Error("rejected"); });`,
  );
  expect([rejected.slice(0, 500), rejectedCode]).toEqual([expect.stringContaining("error: rejected"), 1]);
});

test("watch and start fail with EMFILE at the fd limit, leak nothing, and succeed when fds are available", async () => {
  const program = `
    import { readdirSync } from "node:fs";
    import { EPOLLIN, EpollServer, EventFd, socketpair, watch } from "./src/index.ts";
    const count = () => readdirSync("/proc/self/fd").length;
    const [ours] = socketpair();
    const server = new EpollServer({ hostname: "127.0.0.1" });
    watch(ours, EPOLLIN, () => {}).close(); // makes Bun open the fds of its event loop
    await Bun.sleep(20);
    const before = count();
    const codes = [];
    for (let free = 0; free < 8; free++) {
      const held = [];
      try { for (;;) held.push(new EventFd()); } catch {}
      for (const each of held.splice(0, free)) each.close();
      let code = "";
      try { watch(ours, EPOLLIN, () => {}).close(); } catch (error) { code = error.code; }
      const started = await server.start().then(() => "started", (error) => error.code);
      for (const each of held) each.close();
      codes.push(code + " " + started);
      if (started === "started") break;
      if (count() !== before) codes.push("a leak of " + (count() - before));
    }
    await server.stop();
    console.log(JSON.stringify(codes));
  `;
  const { output, exitCode } = await runBun(program, { maxFds: 200 });
  const codes = output as string[];
  expect(codes.at(-1)).toMatch(/ started$/); // a server needs fewer fds than a watch
  expect(new Set(codes.slice(0, -1))).toEqual(new Set(["EMFILE EMFILE"]));
  expect(exitCode).toBe(0);
});

test("process.exit works at any time", async () => {
  const moments = [
    `process.exit(7);`,
    `setImmediate(() => process.exit(7));`,
    `setTimeout(() => process.exit(7), 1);`,
    `queueMicrotask(() => process.exit(7));`,
    `peer.send("a"); setTimeout(() => process.exit(7), 0);`,
    `watch(peer, EPOLLOUT, () => process.exit(7));`,
    `watcher.close(); process.exit(7);`,
    `const server = new EpollServer({ hostname: "127.0.0.1" }); await server.start(); process.exit(7);`,
  ];
  for (const moment of moments) {
    for (let i = 0; i < scaled(1, 3); i++) {
      expect([moment, ...(await outputOf(`const watcher = watch(ours, EPOLLIN, () => {}); ${moment}`))]).toEqual([
        moment,
        "",
        7,
      ]);
    }
  }
});

test("an uncaught error ends the process while the bridge threads wait", async () => {
  const program = `
    import { untilWaiting } from "./test/support/bridge-state.ts";
    const server = new EpollServer({ hostname: "127.0.0.1" });
    watch(ours, EPOLLIN, () => {});
    await server.start();
    await untilWaiting(2);
  `;
  for (const end of [`throw new Error("end")`, `void Promise.reject(new Error("end"))`]) {
    const [output, code] = await outputOf(`${program} ${end}`);
    expect([output.slice(0, 500), code]).toEqual([expect.stringContaining("error: end"), 1]);
    const [later, laterCode] = await outputOf(`${program} setTimeout(() => { ${end} }, 1)`);
    expect([later.slice(0, 500), laterCode]).toEqual([expect.stringContaining("error: end"), 1]);
  }
});

test("terminating a Worker ends its thread and closes its fds, and watches of other threads continue", async () => {
  const program = `
    import { readdirSync } from "node:fs";
    import { countBridgeThreads, expectBridgeThreads } from "./test/support/threads.ts";
    const source = new URL("file://" + process.cwd() + "/test/support/watching-worker.ts");
    let calls = 0;
    const watcher = watch(ours, EPOLLOUT, () => void calls++);
    let ports = [];
    let fds = 0;
    for (let i = 0; i < ${scaled(10, 60)}; i++) {
      if (i === 5) fds = readdirSync("/proc/self/fd").length; // by now Bun has opened its own fds
      const worker = new Worker(source);
      ports.push(await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data))));
      if (i % 3 > 0) await Bun.sleep(Math.random() * 3);
      await worker.terminate();
    }
    const before = calls;
    for (let i = 0; (countBridgeThreads() > 1 || calls === before) && i < 2000; i++) await Bun.sleep(5);
    print([countBridgeThreads(), calls > before].join());
    const rejected = await Promise.all(ports.map((port) => fetch("http://127.0.0.1:" + port).then(() => false, () => true)));
    print([rejected.every(Boolean), readdirSync("/proc/self/fd").length - fds < 10].join());
    watcher.close();
    await expectBridgeThreads(0);
    print("none");
  `;
  expect(await outputOf(program)).toEqual(["1,true\ntrue,true\nnone\n", 0]);
});
