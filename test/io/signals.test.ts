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
  const expected = '0 0\n1 [{"signal":"SIGUSR1","count":1}]\n[{"signal":"SIGHUP","count":1}]\n';
  expect(await outputOf(program)).toEqual([expected, 0]);
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
    'signal must be the name of a signal, such as "SIGHUP"; received "SIGNOT"',
    'signals must be an array of names, such as ["SIGHUP"]; received "SIGHUP"',
    "nothing",
    expect.stringContaining("on the main thread"),
  ]);
});
