// The history file of the debugger's prompt, which lasts across sessions.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

const MAX_LINE_LENGTH = 1_000;

/** Returns $XDG_STATE_HOME/epoll-hello/history; by default, in ~/.local/state. */
export function historyFile(): string {
  const stateHome = process.env["XDG_STATE_HOME"];
  const directory = stateHome?.startsWith("/") ? stateHome : join(homedir(), ".local", "state");
  return join(directory, "epoll-hello", "history");
}

/** Returns the lines, the newest first; none if the file cannot be read. */
export function readHistory(maxLines: number, file: string = historyFile()): string[] {
  try {
    const lines = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    return lines.slice(-maxLines).toReversed();
  } catch {
    return [];
  }
}

/** Replaces the file, which only its owner can read: lines may contain secrets. Without permission, nothing is saved. */
export function writeHistory(lines: readonly string[], maxLines: number, file: string = historyFile()): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const kept = lines.slice(0, maxLines).filter((line) => line.length <= MAX_LINE_LENGTH);
    writeFileSync(
      file,
      kept
        .toReversed()
        .map((line) => `${line}\n`)
        .join(""),
      { mode: 0o600 },
    );
  } catch {
    // The prompt works without a history.
  }
}
