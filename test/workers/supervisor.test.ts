// Supervisor: restarts workers that crash, hang or cannot start, and leaves no process or fd behind.

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { ListenSockets } from "../../src/workers/listen-sockets.ts";
import { Supervisor, type SupervisorOptions, type SupervisorResult } from "../../src/workers/supervisor.ts";
import { Client } from "../support/client.ts";
import { leavesNoFd } from "../support/fds.ts";
import { root } from "../support/programs.ts";
import { waitUntil } from "../support/workers.ts";

setDefaultTimeout(60_000);

const servingWorker = [process.execPath, join(root, "test/support/worker-process.ts")];
/** Reports that it is serving, and exits. */
const crashingWorker = [
  process.execPath,
  "-e",
  `require("node:fs").writeSync(3, JSON.stringify({ kind: "serving" })); process.exit(5);`,
];

interface Setup {
  supervisor: Supervisor;
  port: number;
  warnings: string[];
}

/** Runs a supervisor in this process during `act`, then stops it and checks that no fd is left open. */
function withSupervisor(
  options: Partial<SupervisorOptions>,
  act: (setup: Setup, result: Promise<SupervisorResult>) => Promise<void>,
): Promise<void> {
  return leavesNoFd(async () => {
    const sockets = ListenSockets.open({ hostname: "127.0.0.1" }, options.workers ?? 1, "shared");
    const warnings: string[] = [];
    const supervisor = new Supervisor({
      command: servingWorker,
      workers: 1,
      sockets,
      onWarning: (message) => warnings.push(message),
      ...options,
    });
    const result = supervisor.run();
    try {
      const [address] = sockets.addresses;
      await act({ supervisor, warnings, port: address !== undefined && "port" in address ? address.port : 0 }, result);
    } finally {
      supervisor.stop(0);
      await result;
    }
  });
}

const request = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
const at = (port: number) => ({ address: "127.0.0.1", port, family: "IPv4" }) as const;
const delays = (warnings: string[]): string[] => warnings.map((text) => /in (\d+) ms$/.exec(text)?.[1] ?? text);

const allServing = async (supervisor: Supervisor): Promise<boolean> =>
  (await supervisor.report()).workers.every(({ state }) => state === "serving");

test("doubles the restart delay after each crash, up to a limit", () =>
  withSupervisor(
    { command: crashingWorker, backoff: { minMs: 10, maxMs: 40, resetMs: 60_000 } },
    async ({ warnings }) => {
      await waitUntil(() => warnings.length >= 5);
      expect(delays(warnings).slice(0, 5)).toEqual(["10", "20", "40", "40", "40"]);
      expect(warnings[0]).toMatch(/^worker 1 \(pid \d+\) exited with code 5; restarting in 10 ms$/);
    },
  ));

test("resets the restart delay once a worker has served for resetMs", () =>
  withSupervisor({ command: crashingWorker, backoff: { minMs: 10, maxMs: 40, resetMs: 0 } }, async ({ warnings }) => {
    await waitUntil(() => warnings.length >= 4);
    expect(delays(warnings).slice(0, 4)).toEqual(["10", "10", "10", "10"]);
  }));

test("serves a client that waits during a restart, and keeps the totals of the crashed worker", () =>
  withSupervisor({ reportIntervalMs: 5 }, async ({ supervisor, port }) => {
    using before = new Client(at(port), request("/"));
    expect(before.readResponse().status).toBe(200);
    await waitUntil(() => supervisor.totals.requests === 1); // the worker has reported it
    using crashing = new Client(at(port), request("/die"));
    expect(crashing.fate()).toMatch(/end|reset/);
    const waiting = await fetch(`http://127.0.0.1:${port}/`, { keepalive: false }); // not a blocking client: the supervisor runs here
    expect(waiting.status).toBe(200);
    const { totals, exited, workers } = await supervisor.report();
    expect([exited.count, workers.length]).toEqual([1, 1]);
    expect(exited.totals.requests).toBeGreaterThanOrEqual(1);
    expect(totals.requests).toBe(exited.totals.requests + 1);
  }));

test("kills a worker that does not exit, and report() does not wait for one that hangs", () =>
  withSupervisor({ reportIntervalMs: 5 }, async ({ supervisor, port }, result) => {
    using hanging = new Client(at(port), request("/hang"));
    await waitUntil(() => !supervisor.isResponsive);
    const { workers } = await supervisor.report();
    expect(workers).toMatchObject([{ worker: 1, state: "serving" }]);
    supervisor.stop(0);
    expect(await result).toMatchObject({ hasFailed: false });
    expect(hanging.fate()).toBe("end");
  }));

test("gives up if every worker exits before any was serving", () =>
  withSupervisor({ command: ["sh", "-c", "exit 3"], workers: 3 }, async (_, result) => {
    expect(await result).toMatchObject({ hasFailed: true });
  }));

test("gives up if the program does not exist", () =>
  withSupervisor({ command: ["/no/such/program"], workers: 2 }, async (_, result) => {
    expect(await result).toMatchObject({ hasFailed: true });
  }));

test("restart() during a rolling restart adds one more round", () =>
  withSupervisor({ workers: 2 }, async ({ supervisor, warnings }) => {
    await waitUntil(() => allServing(supervisor));
    await Promise.all([supervisor.restart(), supervisor.restart(), supervisor.restart()]);
    const { exited, workers } = await supervisor.report();
    expect([exited.count, workers.length, warnings]).toEqual([4, 2, []]);
  }));

test("restart() keeps the current workers if a new one exits before it is serving", () => {
  const command = [...servingWorker];
  return withSupervisor({ workers: 2, command }, async ({ supervisor, port, warnings }) => {
    await waitUntil(() => allServing(supervisor));
    const pids = async (): Promise<number[]> => (await supervisor.report()).workers.map(({ pid }) => pid);
    const before = await pids();
    command.splice(0, command.length, "sh", "-c", "exit 3"); // as after a broken deployment
    await supervisor.restart();
    expect(warnings).toEqual([
      "the new worker 1 was not serving: it exited with code 3; the restart is canceled, and the current workers keep serving",
    ]);
    expect(await pids()).toEqual(before);
    using client = new Client(at(port), request("/"));
    expect(client.readResponse().status).toBe(200);
  });
});
