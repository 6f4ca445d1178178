// Signals: signals as a descriptor.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { endPrograms, run } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

/** In a process of its own: what a program says, and how it ends. */
async function ran(code: string): Promise<[stdout: string, code: number]> {
  const { stdout, code: exitCode } = await run([
    "bun",
    "-e",
    `import { Epoll, EPOLLIN, Signals, EpollServer, watch } from "./src/index.ts"; ${code}`,
  ]);
  return [stdout, exitCode];
}

test("it is readable when one has come, tells which and how often, and wakes a blocked wait", async () => {
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
  const said = '0 0\n1 [{"signal":"SIGUSR1","count":1}]\n[{"signal":"SIGHUP","count":1}]\n';
  expect(await ran(program)).toEqual([said, 0]);
});

test("on Bun's loop, beside a listener that was there", async () => {
  const program = `
    const heard = [];
    process.on("SIGUSR2", () => heard.push("listener"));
    const signals = new Signals(["SIGUSR2"]);
    watch(signals, EPOLLIN, () => heard.push(signals.read()[0].signal));
    process.kill(process.pid, "SIGUSR2");
    while (heard.length < 2) await Bun.sleep(1);
    console.log(heard.sort().join());
    process.exit();
  `;
  expect(await ran(program)).toEqual(["SIGUSR2,listener\n", 0]);
});

test("close puts back what was there: the signal ends the process again", async () => {
  const program = `
    const signals = new Signals(["SIGUSR1"]);
    signals.close();
    signals.close();
    console.log(signals.closed, signals.read().length);
    process.kill(process.pid, "SIGUSR1");
    await Bun.sleep(10000);
  `;
  expect(await ran(program)).toEqual(["true 0\n", 138]);
});

test("two of one signal, a signal that cannot be caught, none, and a Worker are told what is wrong", async () => {
  const program = `
    const why = (make) => { try { make(); return "nothing"; } catch (error) { return error.message; } };
    const signals = new Signals(["SIGUSR1"]);
    console.log(why(() => new Signals(["SIGHUP", "SIGUSR1"])));
    console.log(why(() => new Signals(["SIGKILL"])));
    console.log(why(() => new Signals(["SIGNOT"])));
    console.log(why(() => new Signals(["SIGHUP"]).close()));
    const source = "import { Signals } from '" + process.cwd() + "/src/index.ts'; try { new Signals(['SIGHUP']) } catch (error) { postMessage(error.message) }";
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "application/typescript" })));
    console.log(await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data))));
    process.exit();
  `;
  const [stdout] = await ran(program);
  expect(stdout.trim().split("\n")).toEqual([
    expect.stringContaining("SIGUSR1 is caught already"),
    expect.stringContaining("EINVAL"),
    "there is no signal SIGNOT",
    "nothing",
    expect.stringContaining("on the main thread"),
  ]);
});
