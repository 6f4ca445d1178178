// Kills the processes that a test file leaves behind, however its run ends: normally, by Ctrl-C, or by SIGKILL.
// `bun test --parallel` runs this for each file, and `bun test` once.

import { afterAll } from "bun:test";
import { closeSync } from "node:fs";

const MARKER = "EPOLL_HELLO_TEST_RUN";
const id = crypto.randomUUID();
const MAX_ROUNDS = 20;

// Children inherit the marker, and so do theirs. A watchdog waits for the end of a pipe whose write end only this process
// has. Then it kills every process with the marker, and repeats that for those that were being started meanwhile. It has
// its own session, which Ctrl-C does not reach, and it is not a child: Bun kills its children when it exits.
const watchdog = `
  {
    read -r _
    for round in $(seq ${MAX_ROUNDS}); do
      marked=$(grep -ls '${MARKER}=${id}' /proc/[0-9]*/environ)
      [ -n "$marked" ] || exit
      for environ in $marked; do
        pid=\${environ#/proc/}
        kill -KILL "\${pid%/environ}"
      done
    done
  } <&3 3<&- &
`;
const { [MARKER]: _, ...env } = process.env;
const { spawn, spawnSync } = Bun;
const { exited, stdio } = spawn(["sh", "-c", watchdog], {
  env,
  stdio: ["ignore", "ignore", "ignore", "pipe"],
  detached: true,
});
await exited;
afterAll(() => closeSync(Number(stdio[3])));
process.env[MARKER] = id;
// --no-orphans is for the test run: a program under test must not kill its children.
delete process.env["BUN_FEATURE_FLAG_NO_ORPHANS"];

// Without `env`, Bun starts a child with the environment that this process was started with: without the marker.
Bun.spawn = withEnvironment(spawn);
Bun.spawnSync = withEnvironment(spawnSync);

function withEnvironment<Spawn extends typeof spawn | typeof spawnSync>(start: Spawn): Spawn {
  const call = start as (command: object, options?: object) => unknown;
  return ((command: object, options?: object) =>
    Array.isArray(command)
      ? call(command, { env: process.env, ...options })
      : call({ env: process.env, ...command })) as Spawn;
}
