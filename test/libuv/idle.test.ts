// What the loop costs: nothing while it waits, and one run for all changes of a turn.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  addonFolder,
  bunCommand,
  removeAddonFolder,
  runBun,
  runCommand,
  unavailable,
  writeProgram,
} from "../support/native-addon.ts";
import { endPrograms } from "../support/programs.ts";
import { canTrace } from "../support/strace.ts";

setDefaultTimeout(60_000);
afterAll(endPrograms);
afterAll(removeAddonFolder);

const COMMON = `
const addon = require(process.env.ADDON);
const pair = () => { const both = addon.socketPair(); return [Math.floor(both / 65536), both % 65536]; };
`;

/** How long a program is observed. Bun's own timers are few in this time, and a polling timer would be seen. */
const WINDOW_MS = 1_000;
/** How many more calls Bun itself may make in one run than in another. */
const NOISE = 10;

/** Runs a program, and returns the system calls of all its threads while it waits for the given time after `code`. */
async function callsWhileIdle(code: string): Promise<string[]> {
  const log = join(addonFolder(), `idle-${crypto.randomUUID()}.txt`);
  const program = writeProgram(`
    ${COMMON}
    const { existsSync } = require("fs");
    ${code}
    setTimeout(() => {
      existsSync("/epoll-hello-begin");
      setTimeout(() => { existsSync("/epoll-hello-end"); process.exit(); }, ${WINDOW_MS});
    }, ${WINDOW_MS});`);
  const [, ...rest] = bunCommand(program);
  const result = await runCommand(["strace", "-f", "-o", log, process.execPath, ...rest]);
  expect(result).toMatchObject({ stdout: "", code: 0 });
  const lines = readFileSync(log, "utf8").split("\n");
  const begin = lines.findIndex((line) => line.includes("/epoll-hello-begin"));
  const end = lines.findIndex((line) => line.includes("/epoll-hello-end"));
  expect(begin).toBeGreaterThan(0);
  expect(end).toBeGreaterThan(begin);
  // The calls that wait, and those that read or write: others are of the memory allocator and the garbage collector.
  const call = /^\d+ +(?:epoll_\w+|poll|ppoll|read|write|recv\w*|send\w*|timerfd_\w+|eventfd\w*)\(/;
  return lines.slice(begin + 1, end).filter((line) => call.test(line));
}

describe.skipIf(unavailable !== "" || !canTrace)(`an idle process ${unavailable}`, () => {
  test("open handles cause no system calls", async () => {
    const handles = `
      const [a] = pair();
      addon.poll(() => console.log("event"), a, 1);
      addon.async(() => console.log("called"));
      addon.timer(() => console.log("tick"), 3600000, 3600000);
      addon.unref(addon.timer(() => console.log("tick"), 7200000, 0));
      addon.queueWork(() => {});`;
    const [none, some] = [await callsWhileIdle(""), await callsWhileIdle(handles)];
    expect(some.length, some.join("\n")).toBeLessThanOrEqual(none.length + NOISE);
  });

  test("changes cause no system calls later", async () => {
    const changes = `
      const [a] = pair();
      const poll = addon.poll(() => console.log("event"), a, 1);
      const timer = addon.timer(() => {}, 1, 1);
      for (let i = 0; i < 1000; i++) addon.pollEvents(poll, i % 2 ? 1 : 3);
      addon.pollEvents(poll, 1);
      setTimeout(() => { addon.timerStop(timer); addon.send(async); }, 50);
      const async = addon.async(() => {});`;
    const [none, some] = [await callsWhileIdle(""), await callsWhileIdle(changes)];
    expect(some.length, some.join("\n")).toBeLessThanOrEqual(none.length + NOISE);
  });

  test("handles that are all closed cause no system calls", async () => {
    const closed = `
      const [a] = pair();
      const items = [addon.poll(() => {}, a, 1), addon.async(() => {}), addon.timer(() => {}, 1, 1), addon.idle(() => {})];
      setTimeout(() => { for (const item of items) addon.close(item); }, 50);`;
    const [none, some] = [await callsWhileIdle(""), await callsWhileIdle(closed)];
    expect(some.length, some.join("\n")).toBeLessThanOrEqual(none.length + NOISE);
  });
});

describe.skipIf(unavailable !== "")(`promptness ${unavailable}`, () => {
  // Nothing else wakes the event loop in these programs, so that a change without a run would never be noticed.
  test.each([
    ["a timer is started", `const timer = addon.timer(() => end(timer), 0, 0);`],
    ["a timer is started again", `addon.timerStart(idleTimer, 1, 0);`],
    ["a timer becomes earlier", `addon.timerStart(laterTimer, 1, 0);`],
    ["a poll is started", `const poll = addon.poll(() => end(poll), a, 2);`],
    ["a mask is changed", `addon.pollEvents(waitingPoll, 2);`],
    ["an async handle is created and sent to", `const async = addon.async(() => end(async)); addon.send(async);`],
    ["an async handle is sent to", `addon.send(waitingAsync);`],
    ["an async handle is sent to by a thread", `addon.sendFromThread(waitingAsync, 1);`],
    ["work is queued", `addon.queueWork(() => end());`],
    ["an idle handle is started", `const idle = addon.idle(() => end(idle));`],
    [
      "all handles are closed",
      `for (const item of [idleTimer, laterTimer, waitingPoll, waitingAsync]) addon.close(item); console.log("ran");`,
    ],
    [
      "all handles are unref'd",
      `for (const item of [laterTimer, waitingPoll, waitingAsync]) addon.unref(item); console.log("ran");`,
    ],
  ])("a run follows when %s", async (_, change) => {
    const code = `
      ${COMMON}
      const [a, b] = pair();
      const end = () => { console.log("ran"); process.exit(); };
      const idleTimer = addon.timer(() => end(), 3600000, 0);
      addon.timerStop(idleTimer);
      const laterTimer = addon.timer(() => end(), 3600000, 0);
      const waitingPoll = addon.poll(() => end(), b, 1);
      const waitingAsync = addon.async(() => end());
      setTimeout(() => { ${change} }, 100);`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "ran\n", stderr: "", code: 0 });
  });

  test("a mask that replaces the one with pending events", async () => {
    const code = `
      ${COMMON}
      const [a, b] = pair();
      let n = 0;
      const poll = addon.poll((events) => {
        if (++n === 1000) { console.log("end"); return addon.close(poll); }
        addon.pollEvents(poll, n % 2 ? 2 : 1);
        addon.pollEvents(poll, n % 2 ? 1 : 2);
      }, a, 1);
      addon.write(b, 1);`;
    expect(await runBun(writeProgram(code))).toEqual({ stdout: "end\n", stderr: "", code: 0 });
  });
});
