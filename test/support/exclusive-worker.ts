// A Worker that shares a file descriptor with others by EPOLLEXCLUSIVE, and counts the events that it receives.

import { EAGAIN } from "../../src/kernel/errno.ts";
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLIN, EpollServer, EventFd, watch } from "../../src/index.ts";

export interface ExclusiveWorkerOptions {
  /** An fd that the Worker owns: of an eventfd for `watch`, of a listening socket for `start`. */
  fd: number;
  call: "watch" | "start";
  /** The number of events, and the number of accepts that found no connection. */
  counts: SharedArrayBuffer;
}

declare const self: Worker;

self.addEventListener("message", async ({ data }: MessageEvent<ExclusiveWorkerOptions>) => {
  const counts = new Int32Array(data.counts);
  if (data.call === "watch") {
    watch(EventFd.fromfd(data.fd), EPOLLIN | EPOLLEXCLUSIVE | EPOLLET, () => void Atomics.add(counts, 0, 1));
  } else {
    const server = new EpollServer({
      fd: data.fd,
      exclusive: true,
      trace: (event) => {
        if (event.type === "accept") Atomics.add(counts, event.result === -EAGAIN ? 1 : 0, 1);
      },
    });
    await server.start();
  }
  postMessage("ready");
});
