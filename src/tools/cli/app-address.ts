// The address that an app exports, read in a separate process, because the supervisor of the workers must not run the app's code.

import type { EpollServerOptions } from "../../index.ts";
import { syscalls } from "../../kernel/ffi.ts";
import { START_TIMEOUT_MS } from "../../workers/worker-task.ts";
import { EXIT_FAILURE } from "./exit-codes.ts";
import { describeError, logError } from "./logger.ts";
import { selfExec } from "./self-exec.ts";
import { finishOutput } from "./stdout.ts";

/** Set in the environment of the process that reads the address. */
const VARIABLE = "EPOLL_HELLO_PRINT_ADDRESS";

/** Precedes the address in the output, because the app may print lines while it loads. */
const PREFIX = "epoll-hello address: ";
/** What is left to the process for reporting its own timeout. */
const KILL_DELAY_MS = 2_000;

type AddressOptions = Pick<EpollServerOptions, "hostname" | "port" | "unix" | "fd">;

/**
 * Runs this command again, in a process that loads the app and exits.
 *
 * @throws {Error} if the app cannot be loaded, exits while it loads, or is not loaded in time
 */
export function readAppAddress(): AddressOptions {
  const child = Bun.spawnSync([...selfExec(), ...process.argv.slice(2)], {
    env: { ...process.env, [VARIABLE]: String(process.pid) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: START_TIMEOUT_MS + KILL_DELAY_MS,
    killSignal: "SIGKILL",
  });
  const lines = child.stdout.toString().split("\n");
  const line = lines.find((one) => one.startsWith(PREFIX));
  if (child.success && line !== undefined) return JSON.parse(line.slice(PREFIX.length)) as AddressOptions;
  const how = child.signalCode === undefined ? `exit code ${child.exitCode}` : `signal ${child.signalCode}`;
  const message = child.stderr
    .toString()
    .replace(/^error: /m, "")
    .trimEnd();
  throw new Error(child.success || message === "" ? `the app ended while it was loading (${how})` : message);
}

/**
 * Returns the pid of the supervisor if this process should print the address. Removes the variable, so that a second call returns
 * undefined.
 */
export function takeAddressRequest(): number | undefined {
  const pid = process.env[VARIABLE];
  delete process.env[VARIABLE];
  return pid === undefined ? undefined : Number(pid);
}

/**
 * Loads the app, prints its address as JSON, and exits, whether that succeeds or not: the app may have started timers. It also
 * ends when the supervisor does.
 */
export async function printAppAddress(
  app: string,
  supervisor: number,
  timeoutMs: number = START_TIMEOUT_MS,
): Promise<never> {
  syscalls().end_with_parent(0); // an app that blocks while it is loaded would outlive the supervisor
  process.kill(supervisor, 0); // throws if the supervisor has exited before that
  setTimeout(() => fail(new Error(`${app} was not loaded within ${timeoutMs / 1000} s`)), timeoutMs);
  try {
    const { loadApp } = await import("../../serve/load-app.ts");
    const { hostname, port, unix, fd } = await loadApp(app);
    await Bun.write(Bun.stdout, `\n${PREFIX}${JSON.stringify({ hostname, port, unix, fd })}\n`);
  } catch (error) {
    fail(error);
  }
  process.exit(0);
}

function fail(error: unknown): never {
  logError(describeError(error));
  process.exit(finishOutput(EXIT_FAILURE));
}
