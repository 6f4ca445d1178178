// Detects bunx as the parent process. bunx forwards SIGINT, SIGTERM and SIGHUP only; any other signal ends it alone.

import { basename } from "node:path";
import { EPOLLIN, PidFd, watch } from "../../index.ts";
import { readProcFile } from "./proc-file.ts";

/** Returns the parent process if it is bunx, as a pidfd, which becomes readable when that process exits. */
export function openBunxParent(): PidFd | undefined {
  const pid = process.ppid;
  const command = readProcFile(`/proc/${pid}/cmdline`) ?? "";
  try {
    return isBunx(command.split("\0")) ? new PidFd(pid) : undefined;
  } catch {
    return undefined; // the parent is gone
  }
}

/** Calls `callback` when the parent exits, if that is bunx. Returns a function that stops watching. */
export function onBunxExit(callback: () => void): () => void {
  const parent = openBunxParent();
  if (parent === undefined) return () => {};
  const watcher = watch(parent, EPOLLIN, () => {
    end();
    callback();
  });
  watcher.unref();
  const end = (): void => {
    watcher.close();
    parent.close();
  };
  return end;
}

/** Whether a command line is `bunx …` or `bun [flags] x …`. */
function isBunx([program = "", ...args]: readonly string[]): boolean {
  const name = basename(program, ".exe");
  return name === "bunx" || (name === "bun" && args.find((arg) => !arg.startsWith("-")) === "x");
}
