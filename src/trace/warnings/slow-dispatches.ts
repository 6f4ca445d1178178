// The reports of the warning slow-handler: one for each line of the program, or if that is not known, for each fd.

import type { SlowDispatch } from "../dispatches.ts";
import type { WarningLog } from "./warning-log.ts";

/** How often a thread has to block at the same line, if another program may have been the reason. */
const MIN_UNCERTAIN = 3;

export class SlowDispatches {
  readonly #causes = new Map<string, { count: number }>();

  /** Reports a dispatch, or counts it. */
  add({ fd, cpuUs, blockedUs, isCertain, before, after }: SlowDispatch, log: WarningLog): void {
    const [cpuMs, blockedMs] = [Math.round(cpuUs / 1000), Math.round(blockedUs / 1000)];
    const subject = fd === null ? "one of the ready fds" : `fd ${fd}`;
    const how =
      cpuUs >= blockedUs
        ? `took ${cpuMs} ms of CPU time`
        : `blocked the thread for ${blockedMs} ms (CPU time: ${cpuMs} ms)`;
    const [from, to] = [before?.line, after?.line];
    const where =
      to === undefined || from === to ? "" : from === undefined ? `, before ${to}` : `, between ${from} and ${to}`;
    const message = `handling ${subject} ${how}${where}, and delayed all other fds`;
    const site = before ?? after;
    const key = site?.line ?? String(fd);
    let cause = this.#causes.get(key);
    if (cause === undefined) this.#causes.set(key, (cause = { count: 0 }));
    const count = ++cause.count;
    if (isCertain || count >= MIN_UNCERTAIN) log.add(cause, { code: "slow-handler", fd, message, site, count });
  }
}
