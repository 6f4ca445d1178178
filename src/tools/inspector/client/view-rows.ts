// The rows of the table of file descriptors at a moment of the history, or in a saved trace: without the kernel's figures.

import { fdKey } from "../../../trace/fd-key.ts";
import { formatPeer } from "../../../trace/format.ts";
import type { Warning } from "../../debugger/sampler.ts";
import type { FdRow } from "../fd-row.ts";
import type { View } from "./event-history.ts";

export function rowsOfView({ entries, event }: View, warnings: readonly Warning[]): FdRow[] {
  const nowUs = event?.us ?? 0;
  const lastWarnings = new Map(
    warnings.flatMap((warning) =>
      warning.fd !== null && warning.us <= nowUs ? [[fdKey(warning.fd, warning.pid), warning] as const] : [],
    ),
  );
  return entries.flatMap((entry): FdRow[] => {
    const { fd, pid, kind, state, registrations, address, bytesIn, bytesOut, sinceUs } = entry;
    const warning = lastWarnings.get(fdKey(fd, pid));
    const ageUs = Math.max(0, nowUs - sinceUs);
    const row: FdRow = {
      fd,
      ...(pid === undefined ? {} : { pid }),
      openedUs: sinceUs,
      kind,
      state,
      bytesIn,
      bytesOut,
      ageUs,
      stateUs: ageUs,
      idleUs: ageUs,
      address: address === undefined ? "" : formatPeer(address),
      warning: warning !== undefined && warning.us >= sinceUs ? warning : undefined,
    };
    return registrations.length === 0 ? [row] : registrations.map((registration) => ({ ...row, ...registration }));
  });
}
