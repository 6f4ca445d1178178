// Text for the page: masks, durations, sizes, addresses and event lines.

import { formatMask } from "../../../kernel/format-mask.ts";
import type { TraceEvent } from "../../../trace/events.ts";
import { type FdKey, fdOfKey, pidOfKey } from "../../../trace/fd-key.ts";
import { formatEvent, formatPeer } from "../../../trace/format.ts";
import type { FdEntry } from "../../debugger/fd-table.ts";

/** `IN|OUT`, a number, or a dash if the file descriptor is not registered. */
export function formatShortMask(mask: number | undefined, isNumeric: boolean): string {
  if (mask === undefined) return "–";
  if (isNumeric) return String(mask);
  return mask === 0 ? "0" : formatMask(mask).replaceAll("EPOLL", "");
}

export function formatDuration(us: number): string {
  if (us < 1_000) return `${us.toFixed(us < 10 ? 1 : 0)} µs`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  return us < 120_000_000 ? `${(us / 1e6).toFixed(us < 1e7 ? 1 : 0)} s` : `${Math.round(us / 6e7)} min`;
}

/** Formats a time of the ruler with as many digits as distinguish it from the next one, `stepUs` later. */
export function formatTick(us: number, stepUs: number): string {
  const digits = Math.max(0, Math.ceil(6 - Math.log10(stepUs) - 1e-9));
  return `${(us / 1e6).toFixed(Math.min(6, digits))} s`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 10_000) return String(bytes);
  return bytes < 10_000_000 ? `${Math.round(bytes / 1_000)} k` : `${Math.round(bytes / 1e6)} M`;
}

export function formatPercent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)}%`;
}

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en");
}

export function formatAddress({ kind, address }: FdEntry): string {
  if (address === undefined) return "";
  return `${kind === "listener" ? "listening on" : "peer"} ${formatPeer(address)}`;
}

/** Formats a large number in at most five characters, such as `12.3 M`. */
export function formatCompact(count: number): string {
  return count < 100_000
    ? formatCount(count)
    : count.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
}

/** Formats an fd as `5`, or as `4711:5` if there are several processes. */
export function formatFd(key: FdKey, hasSeveral: boolean): string {
  const pid = pidOfKey(key);
  return pid === undefined || !hasSeveral ? String(fdOfKey(key)) : `${pid}:${fdOfKey(key)}`;
}

/**
 * The event's line as the terminal prints it, but without aligned columns.
 *
 * @param hasOrigin begin it with the process and the thread
 */
export function formatLine(event: TraceEvent, isNumeric: boolean, hasOrigin: boolean = false): string {
  return (formatEvent(event, { isNumeric, hasOrigin }) ?? "").replace(/(?<=\S) {2,}/g, "   ");
}
