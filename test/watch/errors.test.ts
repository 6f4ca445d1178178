// Errors on the event loop: each is reported once, before anything else is called, and ends the process even under load.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { Load } from "../support/load.ts";
import { endPrograms, run, start } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const prelude = `
  import { EPOLLIN, EPOLLONESHOT, EPOLLOUT, EpollServer, socketpair, TimerFd, watch } from "./src/index.ts";
  const log = [];
  const print = () => require("node:fs").writeSync(1, JSON.stringify(log) + "\\n");
`;
/** The application handles errors, so the process continues. */
const handled = `process.on("uncaughtException", (error) => void log.push(error.message));`;

async function logOf(program: string): Promise<unknown> {
  const { stdout, code, stderr } = await run(["bun", "-e", prelude + program]);
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

for (const kind of ["throw", "rejection"]) {
  for (const work of ["server", "server and watch"]) {
    test(`under load, an uncaught ${kind} elsewhere ends the process: ${work}`, async () => {
      const program = start([
        "bun",
        "-e",
        `${prelude}
        // The server is slower than its clients, so that events are always pending.
        const work = () => { for (const until = performance.now() + 0.2; performance.now() < until; ); };
        const server = new EpollServer({ hostname: "127.0.0.1", fetch: () => (work(), new Response("a")) });
        await server.start();
        const [ours, peer] = socketpair();
        if (${work !== "server"}) watch(ours, EPOLLOUT, () => {});
        const poll = setInterval(() => {
          if (server.stats.requests < 500) return;
          clearInterval(poll);
          if (${kind === "throw"}) throw new Error("elsewhere");
          void Promise.reject(new Error("elsewhere"));
        }, 1);
        console.log(server.port);
        `,
      ]);
      const [port] = await program.output(/\d+/);
      const load = new Load({ hostname: "127.0.0.1", port: Number(port) }, { kept: 50, fresh: 0 });
      await load.more(500);
      // If the bridge never paused its immediates, the process would end after millions of requests, or never.
      expect(await Promise.race([program.exited, load.more(20_000)])).toBe(1);
      expect(program.stderr).toContain("error: elsewhere");
      await load.stop();
    });
  }
}

for (const kind of ["throw", "rejection"]) {
  test(`an uncaught ${kind} elsewhere ends the process if each event arrives while Bun polls`, async () => {
    const program = `${prelude}
      // Every event causes an iteration, whose immediate finds no other: the bridge is armed before Bun polls again.
      const timer = new TimerFd();
      timer.set({ value: 100_000n, interval: 100_000n });
      let calls = 0;
      watch(timer, EPOLLIN, () => { timer.read(); if (++calls === 3_000) process.exit(7); });
      setTimeout(() => setImmediate(() => {
        calls = 0;
        if (${kind === "throw"}) throw new Error("elsewhere");
        void Promise.reject(new Error("elsewhere"));
      }), 20);
    `;
    const { code, stderr } = await run(["bun", "-e", program]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("error: elsewhere")]);
  });
}

for (const [name, call] of Object.entries({
  watch: "watch(ours, EPOLLOUT, callback);",
  "EpollServer.onReadable": `
    ours.send("a");
    const server = new EpollServer({ hostname: "127.0.0.1" });
    server.onReadable(peer, callback);
    await server.start();
  `,
})) {
  test(`an asynchronous callback that rejects ends the process after a few calls: ${name}`, async () => {
    const program = `${prelude}
      const [ours, peer] = socketpair();
      process.on("exit", print);
      const callback = async () => { log.push(0); throw new Error("rejected"); };
      ${call}
    `;
    const { stdout, stderr, code } = await run(["bun", "-e", program]);
    expect([code, (JSON.parse(stdout) as unknown[]).length < 10, stderr.length < 20_000]).toEqual([1, true, true]);
    expect(stderr).toContain("error: rejected");
  });
}

test("a callback that throws ends the process after a few calls", async () => {
  const program = `${prelude}
    const [ours] = socketpair();
    process.on("exit", print);
    watch(ours, EPOLLOUT, () => { log.push(0); throw new Error("thrown"); });
  `;
  const { stdout, code } = await run(["bun", "-e", program]);
  expect([code, (JSON.parse(stdout) as unknown[]).length < 10]).toEqual([1, true]);
});

test("an error is reported before the next callback is called", async () => {
  const program = `
    ${handled}
    const pairs = [socketpair(), socketpair(), socketpair()];
    let left = pairs.length;
    for (const [ours, peer] of pairs) {
      peer.send("a");
      const watcher = watch(ours, EPOLLIN, () => {
        log.push("call");
        watcher.close();
        if (--left === 0) queueMicrotask(() => setTimeout(print, 1));
        throw new Error("error");
      });
    }
  `;
  expect(await logOf(program)).toEqual(["call", "error", "call", "error", "call", "error"]);
});

test("pending steps of an iteration are rejected if the fd cannot be re-armed", async () => {
  const program = `
    const [ours, peer] = socketpair();
    const duplicate = ours.dup();
    const watcher = watch(ours, EPOLLIN);
    const iterator = watcher[Symbol.asyncIterator]();
    const steps = [iterator.next(), iterator.next(), iterator.next()];
    ours.close(); // the duplicate keeps the registration
    peer.send("a");
    for (const step of steps) log.push(await step.then(({ value }) => value, ({ code }) => code));
    log.push(watcher.closed);
    print();
  `;
  expect(await logOf(program)).toEqual([1, "EBADF", "EBADF", true]);
});

test("an error of a trace listener does not lose the event", async () => {
  const program = `
    ${handled}
    const [ours, peer] = socketpair();
    let isThrowing = false;
    const trace = () => { if (isThrowing) { isThrowing = false; throw new Error("listener"); } };
    const watcher = watch(ours, EPOLLIN | EPOLLONESHOT, () => {
      log.push("call");
      setTimeout(() => (watcher.close(), print()), 1);
    }, { trace });
    isThrowing = true;
    peer.send("a");
  `;
  expect(await logOf(program)).toEqual(["call", "listener"]);
});
