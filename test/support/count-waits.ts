// Counts calls of epoll_wait, to check that an idle loop makes none.

import { syscalls } from "../../src/kernel/ffi.ts";

/** Returns the number of times this thread calls epoll_wait while `body` runs. */
export async function countWaits(body: () => Promise<unknown>): Promise<number> {
  const sys = syscalls();
  const { epoll_wait } = sys;
  let waits = 0;
  sys.epoll_wait = (...call) => {
    waits++;
    return epoll_wait(...call);
  };
  try {
    await body();
  } finally {
    sys.epoll_wait = epoll_wait;
  }
  return waits;
}
