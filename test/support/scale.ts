// The size of a test: small by default, full with EPOLL_HELLO_TEST=all (`npm run test:all`).

/** Whether the tests run at full size. */
export const isFullRun: boolean = process.env["EPOLL_HELLO_TEST"] === "all";

/** Returns `quick` in a quick run, and `full` in a full run. */
export function scaled<T>(quick: T, full: T): T {
  return isFullRun ? full : quick;
}
