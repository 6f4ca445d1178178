// Programs that use libuv through an addon: the output and exit code under Bun are those under Node.js.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  addonFolder,
  buildAddon,
  hasNode,
  removeAddonFolder,
  runBun,
  runNode,
  unavailable,
  writeProgram,
} from "../support/native-addon.ts";
import { endPrograms } from "../support/programs.ts";

setDefaultTimeout(60_000);
afterAll(endPrograms); // not after each: the tests run concurrently
afterAll(removeAddonFolder);

const SEGMENTATION_FAULT = 128 + 11;

interface Scenario {
  name: string;
  /** A CommonJS program. `addon` is the fixture. */
  code: string;
  /** The lines that it prints. */
  lines: string[];
  /** The lines under Bun, if they differ. */
  bunLines?: string[];
  exitCode?: number;
  /** What standard error contains. */
  stderr?: string;
  /** Node.js behaves differently; for example, it calls no more functions of an addon that ignores an exception. */
  isBunOnly?: boolean;
  /** The program is an ES module. */
  isModule?: boolean;
}

const timers: Scenario[] = [
  {
    name: "a repeating timer, until it is closed",
    code: `
      let n = 0;
      const timer = addon.timer(() => {
        console.log("tick", ++n);
        if (n === 3) addon.close(timer);
      }, 1, 1);
      console.log("started");`,
    lines: ["started", "tick 1", "tick 2", "tick 3"],
  },
  {
    name: "timers in the order of their timeouts",
    code: `
      for (const ms of [40, 1, 20]) { const timer = addon.timer(() => { console.log(ms); addon.close(timer); }, ms, 0); }`,
    lines: ["1", "20", "40"],
  },
  {
    name: "a timer that has fired once, and is not closed, lets the process exit",
    code: `addon.timer(() => console.log("fired"), 1, 0);`,
    lines: ["fired"],
  },
  {
    // Timers are relative to the loop's time, which is that of its last run.
    name: "a timer that is started when nothing has run the loop for a while is not early",
    code: `
      const timer = addon.timer(() => {}, 3600000, 0);
      addon.timerStop(timer);
      setTimeout(() => {
        let isEarly = true;
        const first = addon.timer(() => { console.log("fired", isEarly); addon.close(first); addon.close(timer); }, 300, 0);
        addon.timerStart(timer, 300, 0);
        setTimeout(() => { isEarly = false; }, 150);
      }, 500);`,
    lines: ["fired false"],
  },
  {
    name: "a timer that is started in a callback that takes long is not late",
    code: `
      const async = addon.async(() => {
        const end = Date.now() + 900;
        const timer = addon.timer(() => { console.log("uv timer"); addon.close(timer); }, 1000, 0);
        setTimeout(() => console.log("timeout"), 1500);
        while (Date.now() < end);
        addon.close(async);
      });
      setTimeout(() => addon.send(async), 20);`,
    lines: ["uv timer", "timeout"],
  },
  {
    name: "a timer that is stopped and started again",
    code: `
      const timer = addon.timer(() => { console.log("fired"); addon.close(timer); }, 3600000, 0);
      addon.timerStop(timer);
      setTimeout(() => { console.log("start"); addon.timerStart(timer, 1, 0); }, 5);`,
    lines: ["start", "fired"],
  },
  {
    name: "a timer that is made earlier",
    code: `
      const timer = addon.timer(() => { console.log("fired"); addon.close(timer); }, 3600000, 0);
      setTimeout(() => addon.timerStart(timer, 1, 0), 5);`,
    lines: ["fired"],
  },
  {
    name: "a timer that is started late, when nothing else is left",
    code: `setTimeout(() => { const timer = addon.timer(() => { console.log("fired"); addon.close(timer); }, 5, 0); }, 20);`,
    lines: ["fired"],
  },
  {
    name: "an unref'd timer does not keep the process alive",
    code: `addon.unref(addon.timer(() => console.log("never"), 3600000, 3600000)); console.log("end");`,
    lines: ["end"],
  },
  {
    name: "a timer that is unref'd in its callback",
    code: `const timer = addon.timer(() => { console.log("tick"); addon.unref(timer); addon.timerStop(timer); addon.timerStart(timer, 3600000, 0); }, 1, 1);`,
    lines: ["tick"],
  },
  {
    name: "an unref'd timer fires while something else keeps the process alive",
    code: `
      let n = 0;
      const other = setInterval(() => {}, 3600000);
      const timer = addon.timer(() => { if (++n === 3) { console.log("three"); clearInterval(other); addon.close(timer); } }, 1, 1);
      addon.unref(timer);`,
    lines: ["three"],
  },
  {
    name: "an unref'd timer that is ref'd again keeps the process alive",
    code: `
      const timer = addon.timer(() => { console.log("fired"); addon.close(timer); }, 20, 0);
      addon.unref(timer);
      Promise.resolve().then(() => addon.ref(timer));`,
    lines: ["fired"],
  },
  {
    name: "unref'd handles of all kinds let the process exit",
    code: `
      const [a, b] = pair();
      const items = [addon.timer(() => {}, 3600000, 0), addon.async(() => {}), addon.poll(() => {}, a, READABLE), addon.idle(() => {})];
      for (const item of items) { addon.unref(item); addon.closeAtExit(item); }
      console.log("end");`,
    lines: ["end"],
  },
  {
    name: "handles that are closed while they are active let the process exit",
    code: `
      const [a, b] = pair();
      const items = [addon.timer(() => {}, 3600000, 0), addon.async(() => {}), addon.poll(() => {}, a, 1), addon.idle(() => {})];
      setTimeout(() => { for (const item of items) addon.close(item); console.log("closed"); }, 5);`,
    lines: ["closed"],
  },
];

const polls: Scenario[] = [
  {
    name: "readable and writable events of a socket",
    code: `
      const [a, b] = pair();
      const writer = addon.poll((events) => {
        console.log("writable", events, addon.write(a, 5));
        addon.close(writer);
      }, a, WRITABLE);
      const reader = addon.poll((events) => {
        console.log("readable", events, addon.read(b, 100));
        addon.close(reader);
      }, b, READABLE);`,
    lines: ["writable 2 5", "readable 1 5"],
  },
  {
    name: "both events in one call",
    code: `
      const [a, b] = pair();
      addon.write(b, 3);
      const poll = addon.poll((events) => { console.log(events); addon.close(poll); }, a, READABLE | WRITABLE);`,
    lines: ["3"],
  },
  {
    name: "an end of the stream",
    code: `
      const [a, b] = pair();
      const poll = addon.poll((events) => { console.log(events, addon.read(a, 100)); addon.close(poll); }, a, READABLE);
      setTimeout(() => addon.closeFd(b), 5);`,
    lines: ["1 0"],
  },
  {
    name: "a FIFO",
    code: `
      const path = process.env.FOLDER + "/fifo-" + process.pid, fs = require("fs");
      require("child_process").execFileSync("mkfifo", [path]);
      const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
      const poll = addon.poll((events) => { console.log(events, addon.read(fd, 100)); addon.close(poll); }, fd, READABLE);
      setTimeout(() => fs.writeSync(fd, "hello"), 5);`,
    lines: ["1 5"],
  },
  {
    name: "a regular file is refused",
    code: `
      const fd = require("fs").openSync(__filename);
      console.log(addon.poll(() => {}, fd, READABLE));`,
    lines: ["-1"],
  },
  {
    name: "a poll that is stopped and started again",
    code: `
      const [a, b] = pair();
      let n = 0;
      const poll = addon.poll(() => {
        console.log("event", ++n);
        addon.pollStop(poll);
        if (n === 3) addon.close(poll);
        else setTimeout(() => addon.pollEvents(poll, READABLE), 2);
      }, a, READABLE);
      addon.write(b, 1);`,
    lines: ["event 1", "event 2", "event 3"],
  },
  {
    name: "a mask that is replaced in each call of JavaScript",
    code: `
      const [a, b] = pair();
      addon.write(b, 1);
      const poll = addon.poll((events) => { console.log(events); addon.close(poll); }, a, WRITABLE);
      for (let i = 0; i < 100; i++) addon.pollEvents(poll, i % 2 ? WRITABLE : READABLE);
      addon.pollEvents(poll, READABLE);`,
    lines: ["1"],
    bunLines: ["2"], // an event that is there is delivered before a call that would give it up takes effect
  },
  {
    // In Node.js, the loop runs between the two calls of serialport, which are in different turns.
    name: "an event that is there when its bit is given up",
    code: `
      const [a, b] = pair();
      while (addon.write(a, 65536) > 0);
      const poll = addon.poll((events) => { console.log(events); addon.close(poll); }, a, READABLE);
      setImmediate(() => {
        addon.write(b, 1);
        addon.pollEvents(poll, WRITABLE);
      });`,
    lines: ["1"],
    isBunOnly: true,
  },
  {
    name: "the addon runs the loop after a call that replaces an event that is there",
    code: `
      const [a, b] = pair();
      const poll = addon.poll((events) => { console.log(events); if (events === WRITABLE) addon.close(poll); }, a, READABLE);
      addon.write(b, 1);
      addon.pollEvents(poll, WRITABLE);
      addon.run(ONCE);
      console.log("returned");`,
    lines: ["2", "returned"],
    bunLines: ["1", "2", "returned"],
  },
  {
    name: "a poll on a loop of the addon's own",
    code: `
      const [a, b] = pair();
      addon.write(b, 1);
      console.log(addon.runOwnLoop((events) => console.log(events), a));`,
    lines: ["2", "0"],
  },
  {
    name: "a handle that an error has stopped, started again",
    code: `
      const [a, b] = pair();
      addon.write(a, 1);
      const poll = addon.poll((events) => {
        console.log(events, addon.isActive(poll));
        if (events === READABLE) return addon.close(poll);
        setImmediate(() => { addon.pollEvents(poll, READABLE); console.log(addon.isActive(poll)); addon.close(poll); });
      }, a, WRITABLE);
      addon.closeFd(b);`,
    lines: ["-9 0", "1"],
  },
  {
    // As in serialport: one mask, which each request replaces. An event leaves the other requests' bits.
    name: "both directions full, with one mask for both that each request replaces",
    code: `
      const TOTAL = 8 * 1024 * 1024;
      const [a, b] = pair();
      for (const [name, fd] of [["a", a], ["b", b]]) {
        let mask = 0, sent = 0, received = 0;
        const waiting = { [READABLE]: undefined, [WRITABLE]: undefined };
        const onEvents = (events) => {
          mask &= ~events;
          addon.pollEvents(poll, mask);
          for (const bit of [READABLE, WRITABLE]) {
            const callback = events & bit ? waiting[bit] : undefined;
            if (callback) { waiting[bit] = undefined; callback(); }
          }
        };
        const once = (bit, callback) => { waiting[bit] = callback; mask |= bit; addon.pollEvents(poll, mask); };
        const poll = addon.poll(onEvents, fd, 0);
        const finish = () => { if (sent === TOTAL && received === TOTAL) { console.log("done"); addon.close(poll); } };
        const write = () => {
          const n = addon.write(fd, Math.min(65536, TOTAL - sent));
          if (n > 0) sent += n;
          if (sent < TOTAL) n > 0 ? setImmediate(write) : once(WRITABLE, write);
          else finish();
        };
        const read = () => {
          const n = addon.read(fd, 65536);
          if (n > 0) received += n;
          if (received < TOTAL) n > 0 ? setImmediate(read) : once(READABLE, read);
          else finish();
        };
        read(); write();
      }`,
    lines: ["done", "done"],
  },
  {
    name: "a hundred sockets at once",
    code: `
      let open = 100;
      for (let i = 0; i < 100; i++) {
        const [a, b] = pair();
        let n = 0;
        const reader = addon.poll(() => {
          addon.read(b, 1);
          if (++n < 20) return addon.write(a, 1);
          addon.close(reader);
          if (--open === 0) console.log("all");
        }, b, READABLE);
        addon.write(a, 1);
      }`,
    lines: ["all"],
  },
];

const asyncs: Scenario[] = [
  {
    name: "uv_async_send from another thread",
    code: `
      const async = addon.async(() => { console.log("called"); addon.close(async); });
      addon.sendFromThread(async, 1);`,
    lines: ["called"],
  },
  {
    name: "uv_async_send from another thread, one after the other, when the process is idle",
    code: `
      let n = 0;
      const async = addon.async(() => {
        if (++n === 50) { console.log(n); return addon.close(async); }
        setTimeout(() => addon.sendFromThread(async, 1), n % 3);
      });
      addon.sendFromThread(async, 1);`,
    lines: ["50"],
  },
  {
    name: "uv_async_send from JavaScript, and from its own callback",
    code: `
      let n = 0;
      const async = addon.async(() => { console.log("call", ++n); if (n < 3) addon.send(async); else addon.close(async); });
      addon.send(async); addon.send(async);
      console.log("sent");`,
    lines: ["sent", "call 1", "call 2", "call 3"],
  },
  {
    name: "an unref'd async handle is called while something else keeps the process alive",
    code: `
      const other = setInterval(() => {}, 3600000);
      const async = addon.async(() => { console.log("called"); clearInterval(other); });
      addon.unref(async);
      setTimeout(() => addon.sendFromThread(async, 1), 5);`,
    lines: ["called"],
  },
  ...(
    [
      ["at the end of the main script", `WORK`],
      ["in the last timer", `setTimeout(() => { WORK }, 5);`],
      ["in an immediate", `setImmediate(() => { WORK });`],
      ["in a promise", `Promise.resolve().then(() => { WORK });`],
      ["in a process.nextTick callback", `process.nextTick(() => { WORK });`],
      ["in a promise after a timer", `setTimeout(() => Promise.resolve().then(() => { WORK }), 5);`],
      ["in a beforeExit listener", `process.once("beforeExit", () => { WORK });`],
      ["in the callback of other work", `addon.queueWork(() => { console.log("first"); WORK });`],
      ["in a uv timer", `const timer = addon.timer(() => { addon.close(timer); WORK }, 5, 0);`],
      ["after file system work", `require("fs").promises.readFile(__filename).then(() => { WORK });`],
    ] as const
  ).map(([where, code]) => ({
    name: `work that is queued ${where}`,
    code: code.replace("WORK", `console.log("queue", addon.queueWork((status) => console.log("done", status)));`),
    lines: [...(where.includes("other work") ? ["first"] : []), "queue 0", "done 0"],
  })),
  {
    name: "a beforeExit listener that queues work thrice, and an exit listener",
    code: `
      let n = 0;
      process.on("beforeExit", () => { if (n++ < 3) addon.queueWork(() => console.log("work", n)); });
      process.on("exit", (code) => console.log("exit", code));`,
    lines: ["work 1", "work 2", "work 3", "exit 0"],
  },
  {
    name: "many requests at once",
    code: `
      let n = 0;
      for (let i = 0; i < 1000; i++) addon.queueWork(() => { if (++n === 1000) console.log("all"); });`,
    lines: ["all"],
  },
];

const fairness: Scenario[] = [
  {
    name: "an idle handle, timers, immediates and an HTTP server make progress together",
    code: `
      const http = require("http");
      let idles = 0, ticks = 0, served = 0;
      const idle = addon.idle(() => idles++);
      const interval = setInterval(() => ticks++, 1);
      const server = http.createServer((request, response) => { served++; response.end("hello"); });
      server.listen(0, "127.0.0.1", async () => {
        const url = "http://127.0.0.1:" + server.address().port;
        for (let i = 0; i < 20; i++) await (await fetch(url, { headers: { connection: "close" } })).text();
        const before = idles;
        while (idles < before + 100 || ticks < 10) await new Promise(setImmediate);
        console.log(served, idles >= 100, ticks >= 10);
        clearInterval(interval);
        addon.close(idle);
        server.close();
        server.closeAllConnections();
      });`,
    lines: ["20 true true"],
  },
  {
    name: "a chain of immediates does not starve uv timers, sockets and threads",
    code: `
      const [a, b] = pair();
      let ticks = 0, events = 0, calls = 0;
      const timer = addon.timer(() => ticks++, 1, 1);
      const poll = addon.poll(() => { events++; addon.read(b, 1); addon.write(a, 1); }, b, READABLE);
      const async = addon.async(() => { calls++; addon.sendFromThread(async, 1); });
      addon.write(a, 1);
      addon.send(async);
      const step = () => {
        if (ticks < 10 || events < 10 || calls < 10) return setImmediate(step);
        console.log("all");
        for (const item of [timer, poll, async]) addon.close(item);
      };
      step();`,
    lines: ["all"],
  },
  {
    name: "a uv timer that is always due does not starve Bun's timers",
    code: `
      let ticks = 0, n = 0;
      const timer = addon.timer(() => { n++; addon.timerStart(timer, 1, 0); }, 0, 0);
      const interval = setInterval(() => { if (++ticks < 20 || n < 20) return; console.log("both"); clearInterval(interval); addon.close(timer); }, 1);`,
    lines: ["both"],
  },
  {
    name: "a socket that is always readable does not starve Bun's timers",
    code: `
      const [a, b] = pair();
      let ticks = 0, n = 0;
      addon.write(a, 1);
      const poll = addon.poll(() => n++, b, READABLE);
      const interval = setInterval(() => { if (++ticks < 20 || n < 20) return; console.log("both"); clearInterval(interval); addon.close(poll); }, 1);`,
    lines: ["both"],
  },
];

const errors: Scenario[] = [
  {
    name: "exceptions reach an uncaughtException listener, and other handles go on",
    code: `
      process.on("uncaughtException", (error) => console.log("uncaught", error.message));
      let n = 0, others = 0;
      const timer = addon.timer(() => { if (++n === 3) addon.close(timer); throw new Error("boom " + n); }, 1, 1);
      const other = addon.timer(() => { if (++others >= 3 && n === 3) { console.log("others"); addon.close(other); } }, 1, 1);`,
    lines: ["uncaught boom 1", "uncaught boom 2", "uncaught boom 3", "others"],
  },
  {
    name: "several exceptions in one run",
    code: `
      process.on("uncaughtException", (error) => console.log("uncaught", error.message));
      for (const i of [1, 2, 3]) { const timer = addon.timer(() => { addon.close(timer); throw new Error("boom " + i); }, i, 0); }
      const end = Date.now() + 20;
      while (Date.now() < end);`,
    lines: ["uncaught boom 1", "uncaught boom 2", "uncaught boom 3"],
  },
  ...(
    [
      ["a timer", `addon.timer(() => { throw new Error("boom"); }, 1, 0);`],
      ["a poll", `addon.poll(() => { throw new Error("boom"); }, pair()[0], WRITABLE);`],
      ["an async handle", `addon.sendFromThread(addon.async(() => { throw new Error("boom"); }), 1);`],
      ["work", `addon.queueWork(() => { throw new Error("boom"); });`],
      ["an idle handle", `addon.idle(() => { throw new Error("boom"); });`],
    ] as const
  ).map(([what, code]) => ({
    name: `an exception of ${what} without a listener ends the process`,
    code: `process.on("exit", (code) => console.log("exit", code)); ${code} setInterval(() => {}, 1000);`,
    lines: ["exit 1"],
    exitCode: 1,
    stderr: "boom",
  })),
  {
    name: "exceptions that the addon ignores reach an uncaughtException listener",
    code: `
      process.on("uncaughtException", (error) => console.log("uncaught", error.message));
      let n = 0;
      const timer = addon.timer(() => { if (++n === 3) addon.close(timer); throw new Error("boom " + n); }, 1, 1);
      addon.ignoreErrors(timer);`,
    lines: ["uncaught boom 1", "uncaught boom 2", "uncaught boom 3"],
    isBunOnly: true,
  },
  {
    name: "what a callback has started before an exception that the addon ignores",
    code: `
      process.on("uncaughtException", (error) => console.log("uncaught", error.message));
      const async = addon.async(() => {
        const timer = addon.timer(() => { console.log("timer"); addon.close(timer); }, 20, 0);
        addon.close(async);
        throw new Error("boom");
      });
      addon.ignoreErrors(async);
      setTimeout(() => addon.send(async), 10);`,
    lines: ["uncaught boom", "timer"],
    isBunOnly: true,
  },
  {
    name: "a rejected promise in a callback",
    code: `
      process.on("unhandledRejection", (error) => console.log("unhandled", error.message));
      const timer = addon.timer(() => { addon.close(timer); Promise.reject(new Error("boom")); }, 1, 0);`,
    lines: ["unhandled boom"],
  },
  {
    name: "uv_loop_alive in a callback of a run within a callback",
    code: `
      const outer = addon.timer(() => {
        const inner = addon.timer(() => { addon.isLoopAlive(); addon.close(inner); }, 1, 0);
        addon.run(DEFAULT);
        console.log("returned");
        addon.close(outer);
      }, 1, 0);`,
    lines: ["returned"],
  },
  {
    name: "process.exit in a callback",
    code: `
      process.on("exit", (code) => console.log("exit", code));
      addon.timer(() => { console.log("tick"); process.exit(3); }, 1, 1);
      addon.idle(() => {});`,
    lines: ["tick", "exit 3"],
    exitCode: 3,
  },
  {
    name: "process.exit in the callback of work, with work still queued",
    code: `
      addon.queueWork(() => process.exit(4));
      for (let i = 0; i < 100; i++) addon.queueWork(() => {});`,
    lines: [],
    exitCode: 4,
  },
  {
    name: "handles that a cleanup hook closes, at process.exit",
    code: `
      const items = [addon.timer(() => {}, 1, 1), addon.async(() => {}), addon.poll(() => {}, pair()[0], READABLE), addon.idle(() => {})];
      for (const item of items) addon.closeAtExit(item);
      setTimeout(() => { console.log("exit"); process.exit(5); }, 5);`,
    lines: ["exit"],
    exitCode: 5,
  },
  {
    name: "handles that a cleanup hook closes, at process.exit in a callback",
    code: `
      const timer = addon.timer(() => { console.log("exit"); process.exit(6); }, 1, 1);
      addon.closeAtExit(timer);`,
    lines: ["exit"],
    exitCode: 6,
  },
  {
    name: "handles that a cleanup hook closes, at the end of the program",
    code: `
      const items = [addon.timer(() => {}, 1, 1), addon.async(() => {}), addon.poll(() => {}, pair()[0], READABLE)];
      for (const item of items) { addon.unref(item); addon.closeAtExit(item); }
      console.log("end");`,
    lines: ["end"],
  },
];

const runs: Scenario[] = [
  {
    name: "uv_run(UV_RUN_NOWAIT) in JavaScript",
    code: `
      const timer = addon.timer(() => { console.log("tick"); addon.close(timer); }, 0, 0);
      console.log("before");
      addon.run(NOWAIT);
      console.log("after");`,
    lines: ["before", "tick", "after"],
  },
  {
    name: "uv_run(UV_RUN_NOWAIT) in a callback",
    code: `
      const outer = addon.timer(() => {
        const inner = addon.timer(() => { console.log("inner"); addon.close(inner); }, 0, 0);
        console.log("before");
        addon.run(NOWAIT);
        console.log("after");
        const end = addon.timer(() => { console.log("end"); addon.close(end); }, 5, 0);
        addon.close(outer);
      }, 1, 0);`,
    lines: ["before", "inner", "after", "end"],
  },
  {
    name: "uv_run(UV_RUN_ONCE) in JavaScript waits",
    code: `
      const timer = addon.timer(() => { console.log("tick"); addon.close(timer); }, 20, 0);
      addon.run(ONCE);
      console.log("after");`,
    lines: ["tick", "after"],
  },
  {
    // In Node.js, the loop has handles of Node's own.
    name: "uv_run(UV_RUN_DEFAULT) and uv_loop_alive() in a callback ignore unref'd handles, also those of the host",
    code: `
      const timer = addon.timer(() => {
        addon.unref(timer);
        console.log(addon.isLoopAlive(), addon.run(DEFAULT));
        const other = addon.timer(() => { console.log("other"); addon.close(other); }, 1, 0);
        console.log(addon.isLoopAlive(), addon.run(DEFAULT));
      }, 1, 3600000);`,
    lines: ["0 0", "other", "1 0"],
    isBunOnly: true,
  },
  {
    name: "uv_run that an addon calls, and a handle that it leaves",
    code: `
      const timer = addon.timer(() => { console.log("tick"); if (++n === 2) addon.close(timer); }, 1, 1);
      let n = 0;
      const end = Date.now() + 5;
      while (Date.now() < end);
      addon.run(NOWAIT);
      console.log("after", n);`,
    lines: ["tick", "after 1", "tick"],
  },
  {
    name: "uv_fs_utime has arguments of type double",
    code: `
      const path = process.env.FOLDER + "/utime-" + process.pid, fs = require("fs");
      fs.writeFileSync(path, "");
      console.log(addon.utime(path, 1000.25, 2000.5));
      const show = () => { const { atimeMs, mtimeMs } = fs.statSync(path); console.log(atimeMs, mtimeMs); };
      show();
      addon.utime(path, 3000.75, 4000.125, () => { show(); });`,
    lines: ["0", "1000250 2000500", "3000750 4000125"],
  },
  {
    name: "uv_default_loop() and napi_get_uv_event_loop() return the same loop",
    code: `console.log(addon.loops() !== 0);`,
    lines: ["true"],
  },
  {
    name: "two addons use the same loop",
    code: `
      const second = require(process.env.SECOND);
      console.log(addon.loops() === second.loops(), addon !== second);
      const a = addon.timer(() => { console.log("first"); addon.close(a); }, 5, 0);
      const b = second.timer(() => { console.log("second"); second.close(b); second.queueWork(() => console.log("work")); }, 30, 0);`,
    lines: ["true true", "first", "second", "work"],
  },
  {
    name: "top-level await that waits for a uv handle only",
    isModule: true,
    code: `
      await new Promise((resolve) => { const timer = addon.timer(() => { addon.close(timer); resolve(); }, 20, 0); });
      console.log("timer");
      await new Promise((resolve) => addon.queueWork(resolve));
      console.log("work");`,
    lines: ["timer", "work"],
  },
  {
    // Bun's napi_make_callback leaves them until the native code has returned: here, after all timers that are due.
    name: "microtasks and process.nextTick run after each callback, in Bun after each run",
    code: `
      const end = Date.now() + 10;
      for (const i of [1, 2]) {
        const timer = addon.timer(() => {
          addon.close(timer);
          process.nextTick(() => console.log("tick", i));
          Promise.resolve().then(() => console.log("micro", i));
          console.log("callback", i);
        }, i, 0);
      }
      while (Date.now() < end);`,
    lines: ["callback 1", "tick 1", "micro 1", "callback 2", "tick 2", "micro 2"],
    bunLines: ["callback 1", "callback 2", "tick 1", "tick 2", "micro 1", "micro 2"],
  },
  {
    name: "an immediate that a callback schedules runs before the next run",
    code: `
      let n = 0;
      const timer = addon.timer(() => {
        console.log("callback", ++n);
        if (n === 2) return addon.close(timer);
        setImmediate(() => { console.log("immediate"); addon.timerStart(timer, 1, 0); });
      }, 1, 0);`,
    lines: ["callback 1", "immediate", "callback 2"],
  },
  {
    name: "uv_now() goes on when nothing runs the loop",
    code: `
      const start = addon.now();
      setTimeout(() => console.log(addon.now() - start >= 200), 300);`,
    lines: ["true"],
  },
  {
    name: "a callback that waits for another process",
    code: `
      const { spawnSync } = require("child_process");
      let n = 0, others = 0;
      addon.unref(addon.timer(() => others++, 1, 1));
      const timer = addon.timer(() => {
        const before = others;
        console.log("callback", ++n, spawnSync("echo", ["hello"]).stdout.toString().trim(), others === before);
        if (n === 3) addon.close(timer);
      }, 1, 1);`,
    lines: [1, 2, 3].map((n) => `callback ${n} hello true`),
  },
  {
    name: "a handle is created and closed in one callback, again and again",
    code: `
      let n = 0;
      const timer = addon.timer(() => {
        addon.close(addon.timer(() => console.log("never"), 0, 0));
        addon.close(addon.async(() => console.log("never")));
        if (++n === 100) { console.log("end"); addon.close(timer); }
      }, 0, 1);`,
    lines: ["end"],
  },
];

const COMMON = `
const pair = () => { const both = addon.socketPair(); return [Math.floor(both / 65536), both % 65536]; };
const READABLE = 1, WRITABLE = 2, DEFAULT = 0, ONCE = 1, NOWAIT = 2;
`;
const COMMONJS = `const addon = require(process.env.ADDON);${COMMON}`;
const MODULE = `import { createRequire } from "node:module"; const addon = createRequire(import.meta.url)(process.env.ADDON);${COMMON}`;

describe.skipIf(unavailable !== "").each([
  ["timers", timers],
  ["polls", polls],
  ["threads", asyncs],
  ["fairness", fairness],
  ["errors", errors],
  ["the loop", runs],
])(`%s ${unavailable}`, (_, scenarios) => {
  test.concurrent.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
    "%s",
    async (_name, scenario) => {
      const {
        code,
        lines,
        bunLines = lines,
        exitCode = 0,
        stderr = "",
        isModule = false,
        isBunOnly = false,
      } = scenario;
      const name = `${crypto.randomUUID()}.${isModule ? "mjs" : "cjs"}`;
      const program = writeProgram((isModule ? MODULE : COMMONJS) + code, name);
      const env = { FOLDER: addonFolder(), SECOND: buildAddon("addon", [], "second.node") };
      const bun = await runBun(program, env);
      expect({ stdout: bun.stdout, code: bun.code }).toEqual({ stdout: text(bunLines), code: exitCode });
      expect(bun.stderr).toContain(stderr);
      if (exitCode === 0) expect(bun.stderr).toBe("");
      if (!hasNode || isBunOnly) return;
      const node = await runNode(program, env);
      expect(node.stdout).toBe(text(lines));
      // At its end, Node.js waits for handles to close. If the addon's timer fires then, it crashes.
      expect([exitCode, SEGMENTATION_FAULT]).toContain(node.code);
      expect(node.stderr).toContain(stderr);
    },
  );
});

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
