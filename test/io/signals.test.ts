// Signals: catching signals with epoll and on Bun's event loop.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { endPrograms, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

/** Runs a program in a separate process. Returns its output and exit code. */
async function outputOf(code: string): Promise<[stdout: string, code: number]> {
  const { stdout, code: exitCode } = await run([
    "bun",
    "-e",
    `import { Epoll, EPOLLIN, Signals, EpollServer, watch } from "./src/index.ts"; ${code}`,
  ]);
  return [stdout, exitCode];
}

test("is readable when a signal has been caught, counts signals, and wakes a blocked wait", async () => {
  const program = `
    const signals = new Signals(["SIGUSR1", "SIGHUP"]);
    const epoll = new Epoll();
    epoll.register(signals, EPOLLIN);
    console.log(epoll.poll(0).length, signals.read().length);
    Bun.spawn(["sh", "-c", "sleep 0.2; kill -USR1 " + process.pid]);
    console.log(epoll.poll(10000).length, JSON.stringify(signals.read()));
    process.kill(process.pid, "SIGHUP");
    epoll.poll(1000);
    console.log(JSON.stringify(signals.read()));
    process.exit();
  `;
  const [stdout, code] = await outputOf(program);
  expect(code).toBe(0);
  const [before, count, first, second] = stdout.split("\n").flatMap((line) => line.split(/ (?=\[)/));
  expect([before, count]).toEqual(["0 0", "1"]);
  const caught = { count: 1, code: "SI_USER", pid: expect.any(Number), uid: process.getuid?.() };
  expect([JSON.parse(first ?? ""), JSON.parse(second ?? "")]).toEqual([
    [{ ...caught, signal: "SIGUSR1" }],
    [{ ...caught, signal: "SIGHUP" }],
  ]);
});

test("says who sent a signal, and that a child process has exited", async () => {
  const program = `
    const signals = new Signals(["SIGUSR1", "SIGCHLD"]);
    const epoll = new Epoll();
    epoll.register(signals, EPOLLIN);
    process.kill(process.pid, "SIGUSR1");
    epoll.poll(10000);
    const [caught] = signals.read();
    console.log(caught.pid === process.pid, caught.uid === process.getuid(), caught.code, caught.value, caught.status);
    const child = Bun.spawn(["sh", "-c", "exit 7"]);
    let exited;
    while ((exited = signals.read().find(({ signal }) => signal === "SIGCHLD")) === undefined) epoll.poll(10000);
    console.log(exited.code, exited.status, exited.pid === child.pid, exited.value);
    console.log(await child.exited); // Bun still learns of it
    const killed = Bun.spawn(["sleep", "100"]);
    killed.kill("SIGKILL");
    while ((exited = signals.read().find(({ signal }) => signal === "SIGCHLD")) === undefined) epoll.poll(10000);
    console.log(exited.code, exited.status, exited.pid === killed.pid);
    process.exit();
  `;
  const expected = "true true SI_USER undefined undefined\nCLD_EXITED 7 true undefined\n7\nCLD_KILLED 9 true\n";
  expect(await outputOf(program)).toEqual([expected, 0]);
});

/** Code that defines sigqueue(3). Only a test may use bun:ffi. */
const SIGQUEUE = `
  import { dlopen } from "bun:ffi";
  import { syscalls } from "./src/kernel/ffi.ts";
  const { sigqueue } = dlopen("libc.so.6", { sigqueue: { args: ["i32", "i32", "u64"], returns: "i32" } }).symbols;
  const first = syscalls().signal_rtmin();
`;

test("real-time signals are queued with their values, and delivered in order", async () => {
  const program = `${SIGQUEUE}
    const signals = new Signals(["SIGRTMIN+1", "SIGRTMIN", "SIGRTMAX"]);
    const epoll = new Epoll();
    epoll.register(signals, EPOLLIN);
    for (const value of [42, -1, 2147483647]) sigqueue(process.pid, first + 1, BigInt.asUintN(64, BigInt(value)));
    sigqueue(process.pid, first, 0n);
    sigqueue(process.pid, syscalls().signal_rtmax(), 5n);
    const caught = [];
    while (caught.length < 5) {
      epoll.poll(10000);
      caught.push(...signals.read());
    }
    console.log(caught.map(({ signal, code, value, pid, count }) => [signal, code, value, pid === process.pid, count].join(" ")).join("\\n"));
    process.exit();
  `;
  const expected = [
    ...[42, -1, 2147483647].map((value) => `SIGRTMIN+1 SI_QUEUE ${value} true 1`),
    "SIGRTMIN SI_QUEUE 0 true 1",
    "SIGRTMAX SI_QUEUE 5 true 1",
  ];
  const [stdout, code] = await outputOf(program);
  expect([stdout.trim().split("\n").toSorted(), code]).toEqual([expected.toSorted(), 0]);
  // Those of one signal keep their order.
  expect(stdout.split("\n").filter((line) => line.startsWith("SIGRTMIN+1"))).toEqual(
    expected.filter((line) => line.startsWith("SIGRTMIN+1")),
  );
});

test("counts the signals for which there is no space, by name, and forgets none", async () => {
  const program = `${SIGQUEUE}
    const signals = new Signals(["SIGRTMIN", "SIGRTMIN+1"]);
    const epoll = new Epoll();
    epoll.register(signals, EPOLLIN);
    // A signal of this thread is delivered before sigqueue returns; the handler fills the pipe.
    for (let i = 0; i < 3000; i++) sigqueue(process.pid, first + (i % 3 === 0 ? 1 : 0), BigInt(i));
    const totals = new Map();
    let pieces = [];
    const sum = () => [...totals.values()].reduce((a, b) => a + b, 0);
    while (sum() < 3000) {
      epoll.poll(10000);
      const caught = signals.read();
      pieces.push(...caught);
      for (const { signal, count } of caught) totals.set(signal, (totals.get(signal) ?? 0) + count);
    }
    const lost = pieces.filter(({ code }) => code === undefined);
    console.log(totals.get("SIGRTMIN"), totals.get("SIGRTMIN+1"), sum(), lost.length >= 2, pieces.length > 500, epoll.poll(0).length);
    console.log(lost.every((each) => Object.keys(each).join() === "signal,count"));
    process.exit();
  `;
  expect(await outputOf(program)).toEqual(["2000 1000 3000 true true 0\ntrue\n", 0]);
});

test("loses none when several threads are interrupted at the same time", async () => {
  const program = `${SIGQUEUE}
    const signals = new Signals(["SIGRTMIN", "SIGRTMIN+1"]);
    const epoll = new Epoll();
    epoll.register(signals, EPOLLIN);
    const sender = "const lib = (await import('bun:ffi')).dlopen('libc.so.6', { sigqueue: { args: ['i32', 'i32', 'u64'], returns: 'i32' } }).symbols;" +
      "for (let i = 0; i < 20000;) if (lib.sigqueue(" + process.pid + "," + "SIGNAL" + ", BigInt(i)) === 0) i++;";
    const threads = [first, first + 1].map((signal) => {
      const source = sender.replace("SIGNAL", signal);
      return new Worker(URL.createObjectURL(new Blob([source], { type: "application/typescript" })));
    });
    const totals = new Map([["SIGRTMIN", 0], ["SIGRTMIN+1", 0]]);
    while (totals.get("SIGRTMIN") < 20000 || totals.get("SIGRTMIN+1") < 20000) {
      await new Promise(setImmediate);
      if (epoll.poll(100).length === 0) continue;
      for (const { signal, count } of signals.read()) totals.set(signal, totals.get(signal) + count);
    }
    console.log([...totals.values()].join());
    process.exit();
  `;
  expect(await outputOf(program)).toEqual(["20000,20000\n", 0]);
});

test("fileno after close throws a ClosedError, so that no other file is watched", async () => {
  const program = `
    const signals = new Signals(["SIGUSR1"]);
    const epoll = new Epoll();
    signals.close();
    try { epoll.register(signals, EPOLLIN); } catch (error) { console.log(error.name, error.message); }
    process.exit();
  `;
  expect(await outputOf(program)).toEqual(["ClosedError Signals.fileno: this Signals is closed\n", 0]);
});

test("opens and closes its file descriptors, also after an error", async () => {
  const program = `
    import { readdirSync } from "node:fs";
    new Signals(["SIGUSR1"]).close();
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    for (let i = 0; i < 10; i++) {
      new Signals(["SIGUSR1", "SIGUSR2"]).close();
      try { new Signals(["SIGUSR1", "SIGKILL"]); } catch {}
    }
    console.log(open() - before);
    process.exit();
  `;
  expect(await outputOf(program)).toEqual(["0\n", 0]);
});

test("works on Bun's event loop alongside a process.on listener", async () => {
  const program = `
    const received = [];
    process.on("SIGUSR2", () => received.push("listener"));
    const signals = new Signals(["SIGUSR2"]);
    watch(signals, EPOLLIN, () => received.push(signals.read()[0].signal));
    process.kill(process.pid, "SIGUSR2");
    while (received.length < 2) await Bun.sleep(1);
    console.log(received.sort().join());
    process.exit();
  `;
  expect(await outputOf(program)).toEqual(["SIGUSR2,listener\n", 0]);
});

test("close restores the previous handler", async () => {
  const program = `
    const signals = new Signals(["SIGUSR1"]);
    signals.close();
    signals.close();
    console.log(signals.closed, signals.read().length);
    process.kill(process.pid, "SIGUSR1");
    await Bun.sleep(10000);
  `;
  expect(await outputOf(program)).toEqual(["true 0\n", 138]);
});

test("rejects signals that are already caught, uncatchable or unknown, and use in a Worker", async () => {
  const program = `
    const errorOf = (make) => { try { make(); return "nothing"; } catch (error) { return error.message; } };
    const signals = new Signals(["SIGUSR1"]);
    console.log(errorOf(() => new Signals(["SIGHUP", "SIGUSR1"])));
    console.log(errorOf(() => new Signals(["SIGKILL"])));
    console.log(errorOf(() => new Signals(["SIGNOT"])));
    console.log(errorOf(() => new Signals("SIGHUP")));
    for (const names of [["SIGHUP", "SIGHUP"], ["SIGIO", "SIGPOLL"], ["SIGRTMAX", "SIGRTMIN+30"], [], [1], [null], ["toString"], ["SIGRTMIN+31"], ["SIGRTMAX+1"], ["SIGRTMIN-1"], ["SIGPWR"], ["SIGSEGV"]]) {
      console.log(errorOf(() => new Signals(names)));
    }
    console.log(errorOf(() => new Signals(["SIGHUP"]).close()));
    const source = "import { Signals } from '" + process.cwd() + "/src/index.ts'; try { new Signals(['SIGHUP']) } catch (error) { postMessage(error.message) }";
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "application/typescript" })));
    console.log(await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data))));
    process.exit();
  `;
  const [stdout] = await outputOf(program);
  expect(stdout.trim().split("\n")).toEqual([
    expect.stringContaining("SIGUSR1 is already caught"),
    expect.stringContaining("EINVAL"),
    'signal must be the name of a signal, such as "SIGHUP" or "SIGRTMIN+1"; received "SIGNOT"',
    'signals must be an array of names, such as ["SIGHUP"]; received "SIGHUP"',
    "signals contains SIGHUP twice",
    "signals contains SIGIO and SIGPOLL, which are the same signal",
    "signals contains SIGRTMAX and SIGRTMIN+30, which are the same signal",
    'signals is empty: give the names of signals, such as ["SIGHUP"]',
    'signal must be the name of a signal, such as "SIGHUP" or "SIGRTMIN+1"; received 1',
    'signal must be the name of a signal, such as "SIGHUP" or "SIGRTMIN+1"; received null',
    'signal must be the name of a signal, such as "SIGHUP" or "SIGRTMIN+1"; received "toString"',
    "SIGRTMIN+31 does not exist: the real-time signals are SIGRTMIN to SIGRTMIN+30",
    "SIGRTMAX+1 does not exist: the real-time signals are SIGRTMIN to SIGRTMIN+30",
    "SIGRTMIN-1 does not exist: the real-time signals are SIGRTMIN to SIGRTMIN+30",
    "SIGPWR cannot be caught: JavaScriptCore suspends its threads with it",
    "SIGSEGV cannot be caught: returning from its handler repeats the fault",
    "nothing",
    expect.stringContaining("on the main thread"),
  ]);
});
