// Events that the bridge thread receives for the event loop: each is delivered once, and only if its fd is still ready.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  EPOLLET,
  EPOLLIN,
  EPOLLONESHOT,
  EpollServer,
  interestList,
  socketpair,
  type TraceEvent,
  watch,
} from "../../src/index.ts";
import { blockUntilHandedOver, untilWaiting } from "../support/bridge-state.ts";
import { runIterations, settled, until } from "../support/event-loop.ts";
import { endPrograms, run } from "../support/programs.ts";
import { leavesNothing } from "../support/threads.ts";

setDefaultTimeout(60_000);
afterEach(endPrograms);

test("an event that is handled before it is delivered is not delivered, unless epoll reports it only once", () =>
  leavesNothing(async () => {
    for (const [flag, expected] of [
      [0, 0],
      [EPOLLET, 1],
      [EPOLLONESHOT, 1],
    ] as const) {
      const [ours, peer] = socketpair();
      let calls = 0;
      using _ = watch(ours, EPOLLIN | flag, () => void calls++);
      await untilWaiting(1);
      peer.send("a");
      blockUntilHandedOver();
      expect(ours.recv(10)?.length).toBe(1);
      await settled();
      expect(calls).toBe(expected);
      ours.close();
      peer.close();
    }
  }));

test("an event of a watch that is closed or modified before it is delivered is not delivered", () =>
  leavesNothing(async () => {
    for (const flag of [0, EPOLLET, EPOLLONESHOT]) {
      for (const change of ["close", "modify"] as const) {
        const [ours, peer] = socketpair();
        let calls = 0;
        const watcher = watch(ours, EPOLLIN | flag, () => void calls++);
        await untilWaiting(1);
        peer.send("a");
        blockUntilHandedOver();
        if (change === "close") watcher.close();
        else watcher.modify(0);
        await settled();
        expect(calls).toBe(0);
        watcher.close();
        ours.close();
        peer.close();
      }
    }
  }));

test("an event that is handed over while another arrives is delivered in one call", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    let calls = 0;
    using _ = watch(ours, EPOLLIN | EPOLLET, () => void calls++);
    await untilWaiting(1);
    peer.send("a");
    blockUntilHandedOver();
    peer.send("b");
    await settled();
    expect(calls).toBe(1);
    ours.close();
    peer.close();
  }));

test("interestList does not contain the registration of the bridge", () =>
  leavesNothing(async () => {
    const [ours, peer] = socketpair();
    const events: TraceEvent[] = [];
    using _ = watch(ours, EPOLLIN, () => {}, { trace: (event) => void events.push(event) });
    const added = events.find(({ type }) => type === "ctl") as TraceEvent & { epfd: number };
    expect(interestList(added.epfd).map(({ fd }) => fd)).toEqual([ours.fileno()]);
    ours.close();
    peer.close();
  }));

test("a started server's trace shows the events that the bridge thread has received as a wait", () =>
  leavesNothing(async () => {
    const events: TraceEvent[] = [];
    const server = new EpollServer({ hostname: "127.0.0.1", trace: (event) => void events.push(event) });
    await server.start();
    await untilWaiting(1);
    expect(await (await fetch(server.url, { keepalive: false })).text()).toContain("Hello");
    await server.stop();
    // Each connection is accepted in an iteration that began with an event of the listener. stop() looks for more without one.
    const accepts = events.filter((event) => event.type === "accept" && event.result >= 0) as (TraceEvent & {
      fd: number;
    })[];
    expect(accepts.length).toBeGreaterThan(0);
    for (const { iteration, fd } of accepts) {
      const wait = events.find((event) => event.type === "wait" && event.iteration === iteration);
      expect((wait as TraceEvent & { events: [number, number][] }).events).toContainEqual([fd, EPOLLIN]);
    }
    expect(events.some((event) => event.type === "wait" && event.timeoutMs === -1 && event.result > 0)).toBe(true);
    await runIterations(5);
    await until(() => server.closed);
  }));

const unshare = ["unshare", process.getuid?.() === 0 ? "--fork" : "--map-root-user", "--mount", "--uts"];
const canUnshare =
  Bun.which("unshare") !== null && Bun.spawnSync([...unshare, "mount", "-t", "tmpfs", "none", "/mnt"]).exitCode === 0;

for (const [file, change] of Object.entries({
  "/proc/self/mounts": `Bun.spawnSync(i % 2 === 0 ? ["mount", "-t", "tmpfs", "none", "/mnt"] : ["umount", "/mnt"])`,
  "/proc/sys/kernel/hostname": `writeFileSync("/proc/sys/kernel/hostname", "name" + i)`,
})) {
  test.skipIf(!canUnshare)(`reports each change of ${file}, whose poll clears the event that it reports`, async () => {
    const program = `
      import { openSync, readSync, writeFileSync } from "node:fs";
      import { EPOLLPRI, watch } from "./src/index.ts";
      const fd = openSync("${file}", "r");
      const read = () => readSync(fd, Buffer.alloc(65536), 0, 65536, 0);
      read();
      let i = 0;
      const watcher = watch(fd, EPOLLPRI, () => {
        read();
        console.log("change", i++);
        if (i === 10) return watcher.close();
        setTimeout(next, 1);
      });
      const next = () => void (${change});
      setTimeout(next, 1);
    `;
    const lines = Array.from({ length: 10 }, (_, i) => `change ${i}\n`).join("");
    const result = await run([...unshare, process.execPath, "-e", program]);
    expect(result).toEqual({ code: 0, stdout: lines, stderr: "" });
  });
}
