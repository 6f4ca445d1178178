// How the page marks each type of event: a letter, which needs no color, and the name of the system call.

import type { TraceEvent } from "../../../trace/events.ts";

/** In the order of the legend. */
export const EVENT_MARKS: Partial<Record<TraceEvent["type"], { letter: string; name: string }>> = {
  wait: { letter: "W", name: "epoll_wait" },
  accept: { letter: "A", name: "accept4" },
  recv: { letter: "R", name: "recv" },
  send: { letter: "S", name: "send" },
  ctl: { letter: "C", name: "epoll_ctl" },
  shutdown: { letter: "D", name: "shutdown" },
  close: { letter: "X", name: "close" },
  reset: { letter: "0", name: "SO_LINGER 0 (reset)" },
  connect: { letter: "N", name: "connect" },
  listen: { letter: "L", name: "listen" },
  create: { letter: "E", name: "epoll_create1" },
  bind: { letter: "B", name: "bind" },
  open: { letter: "O", name: "a new fd" },
  option: { letter: "F", name: "setsockopt, fcntl, ioctl" },
  process: { letter: "P", name: "process or thread" },
  call: { letter: "·", name: "another call" },
  state: { letter: "·", name: "state change" },
  warning: { letter: "!", name: "warning" },
  dropped: { letter: "~", name: "events dropped" },
};
