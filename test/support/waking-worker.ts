// A Worker that gets an eventfd's number, writes to it, and ends.

import { EventFd } from "../../src/index.ts";

declare const self: Worker;

self.addEventListener("message", ({ data }: MessageEvent<number>) => {
  const wake = EventFd.fromfd(data);
  wake.write(3);
  wake.write(4n);
  wake.close();
  process.exit();
});
