// Timeouts of a started server: they expire however the iteration before ended.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { EpollServer, type EpollServerOptions, EventFd } from "../../src/index.ts";
import { Client } from "../support/client.ts";
import { runBun } from "../support/children.ts";
import { until } from "../support/event-loop.ts";
import { endPrograms } from "../support/programs.ts";
import { leavesNothing } from "../support/threads.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

const PARTIAL = "GET / HT";

async function started(options: EpollServerOptions): Promise<EpollServer> {
  const server = new EpollServer({ hostname: "127.0.0.1", ...options });
  await server.start();
  return server;
}

for (const hasRef of [true, false]) {
  const name = hasRef ? "" : ", unref'd";

  test(`a partial head and an idle connection are closed${name}`, () =>
    leavesNothing(async () => {
      const server = await started({ headerTimeoutMs: 30, idleTimeoutMs: 30 });
      if (!hasRef) server.unref();
      const partial = new Client(server.address, PARTIAL);
      const idle = new Client(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await until(() => server.stats.timeouts === 2);
      expect([partial.fate(), idle.fate()]).toEqual(["end", "end"]);
      partial.close();
      idle.close();
      await server.stop();
    }));

  test(`a partial head is closed after any number of consecutive iterations with events${name}`, () =>
    leavesNothing(async () => {
      for (const iterations of [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129]) {
        const server = await started({ headerTimeoutMs: 30 });
        if (!hasRef) server.unref();
        using event = new EventFd();
        let left = iterations;
        const end = server.onReadable(event, () => {
          if (left-- > 0) return; // still readable, so the next iteration has an event, too
          event.read();
        });
        const client = new Client(server.address, PARTIAL);
        event.write(1);
        await until(() => server.stats.timeouts === 1);
        client.close();
        end();
        await server.stop();
      }
    }));

  test(`after a callback that throws when a timeout expires, the next timeout expires${name}`, async () => {
    const { output, exitCode } = await runBun(`
      import { EpollServer, Socket } from "./src/index.ts";
      const errors = [];
      process.on("uncaughtException", (error) => errors.push(error.message));
      let closed = 0;
      const server = new EpollServer({
        hostname: "127.0.0.1",
        idleTimeoutMs: 30,
        socket: { data() {}, close() { closed++; throw new Error("thrown " + closed); } },
      });
      await server.start();
      ${hasRef ? "" : "server.unref();"}
      const connect = () => { const client = new Socket(); client.connect(server.address); return client; };
      const clients = [connect()];
      const poll = setInterval(() => {
        if (closed === 1 && clients.length === 1) clients.push(connect());
        if (closed < 2) return;
        clearInterval(poll);
        console.log(JSON.stringify(errors));
        for (const client of clients) client.close();
        void server.stop();
      }, 1);
    `);
    expect([output, exitCode]).toEqual([["thrown 1", "thrown 2"], 0]);
  });

  test(`accepting resumes after fds have run out, even if onWarning throws${name}`, async () => {
    const { output, exitCode } = await runBun(
      `
      import { EpollServer, EventFd, Socket } from "./src/index.ts";
      const errors = [];
      process.on("uncaughtException", (error) => errors.push(error.message));
      const server = new EpollServer({
        hostname: "127.0.0.1",
        onWarning({ code }) { free(); throw new Error(code); },
      });
      await server.start();
      ${hasRef ? "" : "server.unref();"}
      await Bun.sleep(1);
      const client = new Socket();
      const held = [];
      try { for (;;) held.push(new EventFd()); } catch {}
      const free = () => { for (const each of held) each.close(); };
      client.connect(server.address);
      const poll = setInterval(() => {
        if (server.stats.accepted === 0) return;
        clearInterval(poll);
        console.log(JSON.stringify(errors));
        client.close();
        void server.stop();
      }, 1);
      `,
      { maxFds: 100 },
    );
    expect([output, exitCode]).toEqual([["EMFILE"], 0]);
  });
}

test("stop continues after a callback that throws while it empties the backlog", async () => {
  const { output, exitCode } = await runBun(`
    import { EpollServer, Socket } from "./src/index.ts";
    const errors = [];
    process.on("uncaughtException", (error) => errors.push(error.message));
    const server = new EpollServer({
      hostname: "127.0.0.1",
      socket: { open() { throw new Error("thrown"); }, data() {} },
    });
    await server.start();
    await Bun.sleep(1);
    const clients = [new Socket(), new Socket(), new Socket()];
    for (const client of clients) client.connect(server.address);
    await server.stop({ graceMs: 60_000 });
    for (const client of clients) client.close();
    console.log(JSON.stringify(errors));
  `);
  expect([output, exitCode]).toEqual([["thrown", "thrown", "thrown"], 0]);
});
