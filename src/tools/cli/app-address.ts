// The address that an app exports, read in a separate process, because the supervisor of the workers must not run the app's code.

import type { EpollServerOptions } from "../../index.ts";
import { selfExec } from "./self-exec.ts";

/** Set in the environment of the process that reads the address. */
const VARIABLE = "EPOLL_HELLO_PRINT_ADDRESS";

type AddressOptions = Pick<EpollServerOptions, "hostname" | "port" | "unix" | "fd">;

/**
 * Runs this command again, in a process that loads the app and exits.
 *
 * @throws {Error} if the app cannot be loaded
 */
export function readAppAddress(): AddressOptions {
  const { stdout, stderr, success } = Bun.spawnSync([...selfExec(), ...process.argv.slice(2)], {
    env: { ...process.env, [VARIABLE]: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (!success)
    throw new Error(
      stderr
        .toString()
        .replace(/^error: /m, "")
        .trimEnd(),
    );
  const lines = stdout.toString().trimEnd().split("\n"); // the app may print lines while it loads
  return JSON.parse(lines.at(-1) ?? "{}") as AddressOptions;
}

/** Whether this process should print the address. Removes the variable, so that a second call returns false. */
export function takeAddressRequest(): boolean {
  const isRequested = process.env[VARIABLE] !== undefined;
  delete process.env[VARIABLE];
  return isRequested;
}

/** Loads the app, prints its address as JSON, and exits: the app may have started timers. */
export async function printAppAddress(app: string): Promise<never> {
  const { loadApp } = await import("../../server/load-app.ts");
  const { hostname, port, unix, fd } = await loadApp(app);
  await Bun.write(Bun.stdout, `\n${JSON.stringify({ hostname, port, unix, fd })}\n`);
  process.exit(0);
}
