// A thread of the thundering herd lesson: waits on its own epoll instance, then calls accept.

import { EPOLLIN } from "../../kernel/constants.ts";
import { Epoll } from "../../io/epoll.ts";
import { Socket } from "../../io/socket.ts";

export interface WaiterTask {
  /** The shared listening socket. */
  listenerFd: number;
  mask: number;
  /** An eventfd that ends the wait. */
  endFd: number;
}

/**
 * `waiting`: the thread is about to call epoll_wait on the epoll fd `value`.
 * `woken`: epoll_wait returned `value` events of the listening socket.
 * `accepted`: accept returned a connection (1) or failed with EAGAIN (-1), or the thread did not call it (0).
 */
export interface WaiterReport {
  kind: "waiting" | "woken" | "accepted";
  value: number;
}

declare const self: {
  addEventListener(type: "message", listener: (message: MessageEvent<WaiterTask | "accept">) => void): void;
  postMessage(report: WaiterReport): void;
};

const epoll = new Epoll();
let listenerFd = -1;
let eventCount = 0;

self.addEventListener("message", ({ data }) => {
  if (data === "accept") {
    const value = eventCount > 0 ? accept() : 0;
    epoll.close(); // before the report, after which the thread is terminated
    self.postMessage({ kind: "accepted", value });
    return;
  }
  listenerFd = data.listenerFd;
  epoll.register(listenerFd, data.mask);
  epoll.register(data.endFd, EPOLLIN);
  self.postMessage({ kind: "waiting", value: epoll.fileno() });
  eventCount = epoll.poll().filter(([fd]) => fd === listenerFd).length;
  self.postMessage({ kind: "woken", value: eventCount });
});

function accept(): number {
  const listener = Socket.fromfd(listenerFd);
  const accepted = listener.accept();
  listener.detach(); // the main thread closes the fd
  accepted?.socket.close();
  return accepted === null ? -1 : 1;
}
