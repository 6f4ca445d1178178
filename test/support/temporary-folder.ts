// A folder for the files of one test.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The folder of the current test. */
export let folder: string = "";

/** Creates an empty folder. */
export function newFolder(): string {
  removeFolder();
  return (folder = mkdtempSync(join(tmpdir(), "epoll-hello-")));
}

/** Removes the folder with its files. Every test file that creates one passes this function to `afterEach`. */
export function removeFolder(): void {
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
  folder = "";
}
