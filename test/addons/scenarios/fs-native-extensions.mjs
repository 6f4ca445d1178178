// File locks: many callers wait in libuv's thread pool while another process holds the lock.

import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fsx from "fs-native-extensions";
import { event, scenario } from "./scenario.mjs";

const WAITERS = 20;

scenario("fs-native-extensions", async ({ equal }) => {
  const folder = mkdtempSync(join(tmpdir(), "locks-"));
  const file = join(folder, "lock");
  const program = new URL("lock-holder.mjs", import.meta.url).pathname;
  writeFileSync(file, "content");
  const child = spawn(process.execPath, [program, file], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = event(child, "exit");
  equal("the other process", String((await event(child.stdout, "data"))[0]), "locked");

  const fds = Array.from({ length: WAITERS }, () => openSync(file, "r+"));
  equal("tryLock while it is held", fsx.tryLock(fds[0]), false);
  let acquired = 0;
  let holding = 0;
  let most = 0;
  const waiting = fds.map(async (fd) => {
    await fsx.waitForLock(fd);
    acquired++;
    most = Math.max(most, ++holding);
    await new Promise((resolve) => setImmediate(resolve));
    holding--;
    fsx.unlock(fd);
  });
  // Long enough for a lock that is wrongly granted to be noticed.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  equal("locks acquired while it is held", acquired, 0);
  child.stdin.end();
  equal("exit code of the other process", (await exited)[0], 0);
  await Promise.all(waiting);
  equal("locks acquired", acquired, WAITERS);
  equal("most holders at a time", most, 1);
  for (const fd of fds) closeSync(fd);
  rmSync(folder, { recursive: true });
});
