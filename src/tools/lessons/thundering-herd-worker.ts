// One of the threads of the lesson about the thundering herd: it waits on an epoll of its own, and then calls accept.

import { Epoll } from "../../io/epoll.ts";
import { Socket } from "../../io/socket.ts";

export type Herd = "waits" | "woken" | "accepted";

export interface HerdTask {
  listener: number;
  mask: number;
  timeoutMs: number;
}

/** `waits`: on this epoll. `woken`: with so many events. `accepted`: 1 connection, -1: EAGAIN, 0: it did not ask. */
export interface HerdAnswer {
  kind: Herd;
  value: number;
}

declare const self: {
  addEventListener(type: "message", listener: (message: MessageEvent<HerdTask | "accept">) => void): void;
  postMessage(answer: HerdAnswer): void;
};

const epoll = new Epoll();
let listener = -1;
let events = 0;

self.addEventListener("message", ({ data }) => {
  if (data === "accept") {
    const value = events > 0 ? accept() : 0;
    epoll.close(); // this answer is the thread's last
    self.postMessage({ kind: "accepted", value });
    return;
  }
  listener = data.listener;
  epoll.register(listener, data.mask);
  self.postMessage({ kind: "waits", value: epoll.fileno() });
  events = epoll.poll(data.timeoutMs).length;
  self.postMessage({ kind: "woken", value: events });
});

function accept(): number {
  const shared = Socket.fromfd(listener);
  const accepted = shared.accept();
  shared.detach(); // it is the lesson's
  accepted?.socket.close();
  return accepted === null ? -1 : 1;
}
