// A Worker that receives an eventfd, writes to it and exits.

import { EventFd } from "../../src/index.ts";

declare const self: Worker;

self.addEventListener("message", ({ data }: MessageEvent<number>) => {
  const wake = EventFd.fromfd(data);
  wake.write(3);
  wake.write(4n);
  wake.close();
  process.exit();
});
