// The rows of the table of file descriptors at a moment of the history, or in a saved trace: without the kernel's figures.

import { formatPeer } from "../../../trace/format.ts";
import type { Warning } from "../../debugger/sampler.ts";
import type { FdRow } from "../fd-row.ts";
import type { View } from "./event-history.ts";

export function rowsOfView({ entries, epfd, event }: View, warnings: readonly Warning[]): FdRow[] {
  const nowUs = event?.us ?? 0;
  const lastWarnings = new Map(warnings.filter(({ us }) => us <= nowUs).map((warning) => [warning.fd, warning]));
  return entries.map((entry) => {
    const { fd, kind, state, mask, address, bytesIn, bytesOut, sinceUs } = entry;
    const warning = lastWarnings.get(fd);
    const ageUs = Math.max(0, nowUs - sinceUs);
    return {
      fd,
      openedUs: sinceUs,
      epfd: mask === undefined ? undefined : epfd,
      kind,
      state,
      mask,
      bytesIn,
      bytesOut,
      ageUs,
      stateUs: ageUs,
      idleUs: ageUs,
      address: address === undefined ? "" : formatPeer(address),
      warning: warning !== undefined && warning.us >= sinceUs ? warning : undefined,
    };
  });
}
