// Supervisor: what it does when workers die, hang or cannot start, and that nothing of it is left.

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { ListenSockets } from "../../src/workers/listen-sockets.ts";
import { Supervisor, type SupervisorOptions } from "../../src/workers/supervisor.ts";
import { Client } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { root } from "../support/programs.ts";
import { until } from "../support/workers.ts";

setDefaultTimeout(60_000);

const serving = [process.execPath, join(root, "test/support/worker-process.ts")];
/** Says that it serves, and dies. */
const frail = [
  process.execPath,
  "-e",
  `require("node:fs").writeSync(3, JSON.stringify({ kind: "serving" })); process.exit(5);`,
];

interface Scene {
  supervisor: Supervisor;
  port: number;
  warnings: string[];
}

/** A supervisor in this process; in the end it stops, and nothing of it is open. */
function supervised(
  options: Partial<SupervisorOptions>,
  act: (scene: Scene, over: Promise<{ isFailure: boolean }>) => Promise<void>,
): Promise<void> {
  return leavesNoFd(async () => {
    const place = ListenSockets.open({ hostname: "127.0.0.1" }, options.workers ?? 1, "shared");
    const warnings: string[] = [];
    const supervisor = new Supervisor({
      command: serving,
      workers: 1,
      place,
      onWarning: (message) => warnings.push(message),
      ...options,
    });
    const over = supervisor.run();
    try {
      const [address] = place.addresses;
      await act({ supervisor, warnings, port: address !== undefined && "port" in address ? address.port : 0 }, over);
    } finally {
      supervisor.stop(0);
      await over;
    }
  });
}

const request = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
const at = (port: number) => ({ address: "127.0.0.1", port, family: "IPv4" }) as const;
const delays = (warnings: string[]): string[] => warnings.map((text) => /in (\d+) ms$/.exec(text)?.[1] ?? text);

test("a worker that dies again and again is started after twice the time, up to a bound", () =>
  supervised({ command: frail, backoff: { firstMs: 10, mostMs: 40, resetMs: 60_000 } }, async ({ warnings }) => {
    await until(() => warnings.length >= 5);
    expect(delays(warnings).slice(0, 5)).toEqual(["10", "20", "40", "40", "40"]);
    expect(warnings[0]).toMatch(/^worker 1 \(\d+\) ended with exit code 5: another takes its place in 10 ms$/);
  }));

test("one that has served for a while is started as soon as the first time", () =>
  supervised({ command: frail, backoff: { firstMs: 10, mostMs: 40, resetMs: 0 } }, async ({ warnings }) => {
    await until(() => warnings.length >= 4);
    expect(delays(warnings).slice(0, 4)).toEqual(["10", "10", "10", "10"]);
  }));

test("who waits while the only worker is dead is served by the next one; what the dead one had said is counted", () =>
  supervised({ beatMs: 5 }, async ({ supervisor, port }) => {
    using before = new Client(at(port), request("/"));
    expect(before.reply().status).toBe(200);
    await until(() => supervisor.total.requests === 1); // it has said so
    using deadly = new Client(at(port), request("/die"));
    expect(deadly.fate()).toMatch(/end|reset/);
    const waiting = await fetch(`http://127.0.0.1:${port}/`, { keepalive: false }); // Bun's loop turns: it restarts the worker
    expect(waiting.status).toBe(200);
    const { total, ended, workers } = await supervisor.report();
    expect([ended.count, workers.length]).toEqual([1, 1]);
    expect(ended.counts.requests).toBeGreaterThanOrEqual(1);
    expect(total.requests).toBe(ended.counts.requests + 1);
  }));

test("a worker that does not come to its end is killed, and one that does not answer holds up no report", () =>
  supervised({ beatMs: 5 }, async ({ supervisor, port }, over) => {
    using hanging = new Client(at(port), request("/hang"));
    await until(() => !supervisor.isAlive);
    const { workers } = await supervisor.report();
    expect(workers).toMatchObject([{ worker: 1, state: "serving" }]);
    supervisor.stop(0);
    expect(await over).toMatchObject({ isFailure: false });
    expect(hanging.fate()).toBe("end");
  }));

test("all that die before any has served: it gives up", () =>
  supervised({ command: ["sh", "-c", "exit 3"], workers: 3 }, async (_, over) => {
    expect(await over).toMatchObject({ isFailure: true });
  }));

test("a program that is not there: it gives up, too", () =>
  supervised({ command: ["/no/such/program"], workers: 2 }, async (_, over) => {
    expect(await over).toMatchObject({ isFailure: true });
  }));

test("renewals that are asked for during one become one more", () =>
  supervised({ workers: 2 }, async ({ supervisor, warnings }) => {
    await until(async () => (await supervisor.report()).workers.every(({ state }) => state === "serving"));
    await Promise.all([supervisor.renew(), supervisor.renew(), supervisor.renew()]);
    const { ended, workers } = await supervisor.report();
    expect([ended.count, workers.length, warnings]).toEqual([4, 2, []]);
  }));

test("a renewal whose new worker does not serve leaves the old ones as they are", () => {
  const command = [...serving];
  return supervised({ workers: 2, command }, async ({ supervisor, port, warnings }) => {
    await until(async () => (await supervisor.report()).workers.every(({ state }) => state === "serving"));
    const pids = async (): Promise<number[]> => (await supervisor.report()).workers.map(({ pid }) => pid);
    const before = await pids();
    command.splice(0, command.length, "sh", "-c", "exit 3"); // as a broken update of the program would
    await supervisor.renew();
    expect(warnings).toEqual(["the new worker 1 has ended before it served: the others go on as they are"]);
    expect(await pids()).toEqual(before);
    using client = new Client(at(port), request("/"));
    expect(client.reply().status).toBe(200);
  });
});
