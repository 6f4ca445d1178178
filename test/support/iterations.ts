// How often an epoll is asked: an idle loop asks none.

import { syscalls } from "../../src/kernel/ffi.ts";

/** How often this thread calls epoll_wait while `body` runs. */
export async function iterationsWhile(body: () => Promise<unknown>): Promise<number> {
  const sys = syscalls();
  const { epoll_wait } = sys;
  let iterations = 0;
  sys.epoll_wait = (...call) => {
    iterations++;
    return epoll_wait(...call);
  };
  try {
    await body();
  } finally {
    sys.epoll_wait = epoll_wait;
  }
  return iterations;
}
