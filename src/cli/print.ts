// Lines on standard output, written at once: while the loop blocks the thread, nothing that waits for Bun's loop gets out.

import { writeSync } from "node:fs";

const STDOUT = 1;
let isGone = false;

/** Write a line. A slow reader is waited for; one that has gone away (`| head`) gets no more. */
export function printLine(line: string): void {
  let bytes = Buffer.from(`${line}\n`);
  while (!isGone && bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(STDOUT, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") Bun.sleepSync(1);
      else isGone = true;
    }
  }
}

/** Make what a client sent harmless for a terminal: control and non-ASCII bytes as `\x1b`; and not longer than a line. */
export function printable(text: string, most = 200): string {
  const cut = text.length > most ? `${text.slice(0, most)}…` : text;
  // oxlint-disable-next-line no-control-regex -- exactly those
  return cut.replace(/[\x00-\x1f\x7f-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
