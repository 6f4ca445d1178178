// How often an epoll is asked: an idle loop asks none.

import { hostSys } from "../../src/ffi.ts";

/** How often this thread calls epoll_wait while `body` runs. */
export async function lapsWhile(body: () => Promise<unknown>): Promise<number> {
  const sys = hostSys();
  const { epoll_wait } = sys;
  let laps = 0;
  sys.epoll_wait = (...call) => {
    laps++;
    return epoll_wait(...call);
  };
  try {
    await body();
  } finally {
    sys.epoll_wait = epoll_wait;
  }
  return laps;
}
