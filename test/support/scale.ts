// The amount of work that a test does: little by default, all of it with EPOLL_HELLO_TEST=all (`npm run test:all`).

/** Whether the tests run at full size. */
export const isFullRun: boolean = process.env["EPOLL_HELLO_TEST"] === "all";

/** Returns the value for a quick run, or the one for a full run. */
export function scaled<T>(quick: T, full: T): T {
  return isFullRun ? full : quick;
}
