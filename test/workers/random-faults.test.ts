// Property test: workers that die, hang and are stopped in any order, at any time, also while they start or are replaced.

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { ListenSockets } from "../../src/workers/listen-sockets.ts";
import { Supervisor } from "../../src/workers/supervisor.ts";
import { leavesNoFd } from "../support/fds.ts";
import { root } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";
import { Random } from "../simulation/random.ts";
import { isAlive, waitUntil } from "../support/workers.ts";

setDefaultTimeout(60_000);

const WORKERS = 2;
/** SEQUENCES=30 runs more of them, also with SIGSTOP: replacing a worker that is stopped while it starts or drains takes up to 30 s. */
const LONG_RUN = Number(process.env["SEQUENCES"] ?? 0);
const SIGNALS = [
  "SIGKILL",
  "SIGTERM",
  "SIGSEGV",
  LONG_RUN > 0 ? "SIGSTOP" : "SIGKILL",
] as const satisfies NodeJS.Signals[];
/** SEED=… repeats the steps of a run; when exactly each of them happens, the machine decides. */
const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000);

/** Applies random steps to a supervisor, and then expects that all workers serve and that nothing is left after `stop`. */
async function run(seed: number): Promise<void> {
  const random = new Random(seed);
  const steps: string[] = [];
  const pids = new Set<number>();
  await leavesNoFd(async () => {
    const sockets = ListenSockets.open({ hostname: "127.0.0.1" }, WORKERS, random.chance(500) ? "shared" : "reuseport");
    const [address] = sockets.addresses;
    const port = address !== undefined && "port" in address ? address.port : 0;
    const supervisor = new Supervisor({
      command: [process.execPath, join(root, "test/support/worker-process.ts")],
      workers: WORKERS,
      sockets,
      backoff: { minMs: 5, maxMs: 20, resetMs: 0 },
      reportIntervalMs: 5,
      workerTimeoutMs: 2_000,
    });
    const result = supervisor.run();
    const serving = async (): Promise<number> => {
      const { workers } = await supervisor.report();
      for (const { pid } of workers) pids.add(pid);
      return workers.filter(({ state }) => state === "serving").length;
    };
    await waitUntil(async () => (await serving()) === WORKERS);
    const restarts: Promise<void>[] = [];
    for (let i = 0; i < 6; i++) {
      const { workers } = await supervisor.report();
      for (const { pid } of workers) pids.add(pid);
      const target = workers[random.below(workers.length)];
      const signal = SIGNALS[random.below(SIGNALS.length)] ?? "SIGKILL";
      const what = random.below(10);
      if (what < 6 && target !== undefined) {
        steps.push(`${signal} while ${target.state}`);
        try {
          process.kill(target.pid, signal);
        } catch {
          // it has exited meanwhile
        }
      } else if (what < 8) {
        steps.push("restart");
        restarts.push(supervisor.restart());
      } else {
        steps.push("request");
        await fetch(`http://127.0.0.1:${port}/`, { keepalive: false, signal: AbortSignal.timeout(200) }).catch(
          () => {},
        );
      }
      await Bun.sleep(random.below(40)); // when the next step comes is part of the test
    }
    await Promise.all(restarts);
    await waitUntil(
      async () => (await serving()) === WORKERS,
      () => ({ seed, steps }),
    );
    // A worker that was stopped by a signal may still hold a connection; the supervisor replaces it.
    await waitUntil(
      () =>
        fetch(`http://127.0.0.1:${port}/`, { keepalive: false, signal: AbortSignal.timeout(500) }).then(
          ({ status }) => status === 200,
          () => false,
        ),
      () => ({ seed, steps }),
    );
    const { workers, exited } = await supervisor.report();
    expect({ seed, steps, known: exited.count + workers.length >= WORKERS }).toEqual({ seed, steps, known: true });
    supervisor.stop(0);
    expect({ seed, steps, hasFailed: (await result).hasFailed }).toEqual({ seed, steps, hasFailed: false });
  });
  expect({ seed, steps, alive: [...pids].filter(isAlive) }).toEqual({ seed, steps, alive: [] });
}

test("all workers serve again, and stop leaves neither a process nor an fd", async () => {
  for (let i = 0; i < (LONG_RUN || scaled(1, 3)); i++) await run(SEED + i);
}, 1_200_000);
